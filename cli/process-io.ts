/** The real process behind `Io`. */
import type { Io } from "./command.js";

/** Exit code of a process that was told twice to end: 128 + SIGINT, as shells report it. */
const INTERRUPTED_EXIT_CODE = 130;
/** Signals that come so soon after one another are one request. */
const SAME_SIGNAL_MS = 1_000;

/** Takes hold of this process's streams and signals; once per process. */
export function processIo(): Io {
  process.stdout.on("error", (error) => {
    if (!("code" in error) || error.code !== "EPIPE") throw error;
    process.exit(0); // whoever read our output has gone (`| head`)
  });
  return {
    stdout: (output) => void process.stdout.write(output),
    write: (output) =>
      new Promise((resolve, reject) => {
        process.stdout.write(output, (error) => (error ? reject(error) : resolve()));
      }),
    stderr: (text) => void process.stderr.write(text),
    stdin: () => process.stdin,
    now: () => new Date(),
    env: process.env,
    cwd: process.cwd(),
    color: process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb",
    watched: process.stderr.isTTY === true,
    interrupted: interruption(),
  };
}

/**
 * The first signal asks, a later one ends the process at once. Later: `npm run` hands on a Ctrl-C that the terminal has
 * sent to us too, and both mean one and the same. A process that a Node parent has started with an IPC channel also ends
 * with its parent, whatever became of that: the channel closes.
 */
function interruption(): AbortSignal {
  const controller = new AbortController();
  let askedAtMs = 0;
  const interrupt = (reason: string): void => {
    const nowMs = performance.now();
    if (!controller.signal.aborted) {
      askedAtMs = nowMs;
      controller.abort(new Error(reason));
    } else if (nowMs - askedAtMs > SAME_SIGNAL_MS) {
      process.exit(INTERRUPTED_EXIT_CODE);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupt(signal));
  process.once("disconnect", () => interrupt("the process that started this one has ended"));
  process.channel?.unref(); // nothing is said on it; it must not keep a finished command alive
  return controller.signal;
}
