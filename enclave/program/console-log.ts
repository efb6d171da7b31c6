/**
 * A log on the console: one JSON object a line, with the fields of log.ts and no others. Whoever attaches a console to an
 * enclave in debug mode reads it; out of debug mode nobody does. It never holds the enclave up: while the console takes no
 * more, lines are dropped and counted.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { Writable } from "node:stream";
import type { Clock } from "../clock.js";
import type { LogFields, Logger } from "../log.js";

/** The console, as a stream of node:stream. */
export interface Console {
  readonly writableLength: number;
  write(text: string): unknown;
}

const MAX_PENDING_BYTES = 256 * 1024;

export function consoleLog(console: Console, clock: Pick<Clock, "now">): Logger {
  let dropped = 0;
  const at = (level: "info" | "warn" | "error") => (fields: LogFields, message: string) => {
    if (console.writableLength > MAX_PENDING_BYTES) {
      dropped += 1;
      return;
    }
    const line = { time: clock.now().toISOString(), level, message, ...fields, ...(dropped > 0 ? { dropped } : {}) };
    dropped = 0;
    console.write(`${JSON.stringify(line)}\n`);
  };
  return { info: at("info"), warn: at("warn"), error: at("error") };
}

/** Until a console that took no more is tried again. */
const RETRY_MS = 20;

/**
 * The console on the descriptor `fd`, opened a second time: node:process writes to a terminal in the event loop's own time,
 * so one that takes no more would stop the enclave, and one that fails would end it. Here the bytes wait, and those that
 * the console refuses are dropped. What is no terminal and no pipe is taken as it is.
 */
export function openConsole(fd: number, fallback: Writable): Writable {
  const own = openAgain(fd);
  if (own === undefined) return fallback.on("error", () => undefined); // a lost line ends nothing
  return new Writable({
    write: (bytes: Uint8Array, _encoding, done) => writeWhenTaken(own, bytes, done),
    destroy: (error, done) => {
      closeSync(own);
      done(error);
    },
  });
}

/** A descriptor that does not block; undefined for a file, whose end is shared with others, and a socket. */
function openAgain(fd: number): number | undefined {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    return fstatSync(fd).isFile() ? undefined : openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}

function writeWhenTaken(fd: number, bytes: Uint8Array, done: () => void): void {
  let rest = bytes;
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") {
      setTimeout(writeWhenTaken, RETRY_MS, fd, rest, done);
      return;
    }
  }
  done();
}
