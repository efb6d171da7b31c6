/**
 * What the commands that keep running have in common: they say when they are ready, run until they are told to end, and
 * close in good order. With `--json` readiness is one line, `{"event":"ready",…}`, so that whoever started the process
 * waits for that line and not for a while. Logs go to stderr.
 */
import type { Logger } from "pino";
import { pino } from "pino";
import type { Io } from "./command.js";
import { CommandFailure } from "./command.js";

/** Options that every service takes. */
export const SERVICE_OPTIONS = {
  json: { type: "boolean" },
  "log-level": { type: "string", default: "info" },
} as const;

/** Their part of a help text. */
export const SERVICE_USAGE = `  --log-level LEVEL   trace, debug, info (default), warn, error or silent; logs go to stderr as JSON lines
  --json              say on stdout, as JSON lines, when the service is ready
  --help              this text
`;

export interface Announcement {
  /** The fields of the ready event. */
  readonly event: Readonly<Record<string, unknown>>;
  /** The same for people; ends with a line feed. */
  readonly text: string;
}

/** Announces a service that runs, waits until it is told to end, and closes it. Returns the exit code. */
export async function runUntilInterrupted(
  io: Io,
  service: { close(): Promise<void> },
  { event, text }: Announcement,
  json: boolean | undefined,
): Promise<number> {
  io.stdout(json ? `${JSON.stringify({ event: "ready", ...event })}\n` : text);
  await untilAborted(io.interrupted);
  await service.close();
  return 0;
}

/** Resolves when `signal` fires. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    // A pending promise keeps no process alive: a service without open handles would end by itself, and nobody the wiser.
    const keepAlive = setInterval(() => undefined, 2 ** 31 - 1);
    signal.addEventListener(
      "abort",
      () => {
        clearInterval(keepAlive);
        resolve();
      },
      { once: true },
    );
  });
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "silent"];

/** A logger that writes JSON lines to stderr. */
export function createLogger(io: Io, service: string, level: string): Logger {
  if (!LEVELS.includes(level)) throw new CommandFailure(2, `--log-level is one of ${LEVELS.join(", ")}`);
  return pino({ level, base: { service } }, { write: (line: string) => io.stderr(line) });
}
