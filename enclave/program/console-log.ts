/**
 * A log on the console: one JSON object a line, with the fields of log.ts and no others. Whoever attaches a console to an
 * enclave in debug mode reads it; out of debug mode nobody does. It never holds the enclave up: while the console takes no
 * more, lines are dropped and counted.
 */
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
