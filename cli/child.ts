/**
 * A service of this command line as a process of its own: started, waited for until it says that it is ready, and ended
 * again. It never outlives the process that started it: it has an IPC channel on which nothing is said, and whose end
 * (however that came about) tells it to close.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { isErrorCode, ServiceError } from "../shared/errors.js";

export interface ChildOptions {
  /** For messages: which of several processes this is. */
  readonly label: string;
  /** Command and options; `--json` is added. */
  readonly args: readonly string[];
  /** The module that runs them; this command line unless given. */
  readonly entry?: URL;
  readonly env: Readonly<Record<string, string>>;
  /** Time until it must be ready. */
  readonly deadlineMs: number;
  /** Gives the start up. */
  readonly signal: AbortSignal;
  /** Each event after "ready". */
  readonly onEvent?: (event: ChildEvent) => void;
  /** Each line that it writes to stderr: its log. */
  readonly onLog?: (line: string) => void;
}

/** A line of the service's output. */
export type ChildEvent = Readonly<Record<string, unknown>> & { readonly event: string };

export interface Child {
  readonly pid: number;
  /** The fields of its ready event. */
  readonly ready: ChildEvent;
  /** Fires with a ServiceError when it has ended, whoever wanted that. */
  readonly ended: AbortSignal;
  /** Tells it to close, and waits until it has ended; after a while it is ended. */
  stop(): Promise<void>;
}

const MAIN = new URL("./main.js", import.meta.url);
const STOP_DEADLINE_MS = 5_000;
/** How much of its log is told when a service ends unasked. */
const TOLD_LOG_LINES = 5;

const lineSchema = z.union([
  z.looseObject({ event: z.string() }),
  z.strictObject({ error: z.strictObject({ code: z.string().optional(), message: z.string() }) }),
]);

/**
 * Starts a service and waits until it is ready.
 * @throws ServiceError with the code that the service gave, ERR_TIMEOUT, or ERR_INTERNAL when it ended without one.
 */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { label, deadlineMs, signal, entry = MAIN } = options;
  signal.throwIfAborted();
  const child = spawn(process.execPath, [fileURLToPath(entry), ...options.args, "--json"], {
    env: { ...options.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    detached: true, // a Ctrl-C reaches us alone, and we end the services in their order
  });
  const ended = watchEnd(child, options);
  const deadline = AbortSignal.timeout(deadlineMs);
  try {
    const ready = await untilReady(child, options, AbortSignal.any([signal, deadline, ended]));
    return { pid: child.pid ?? 0, ready, ended, stop: () => stopChild(child) };
  } catch (error) {
    await stopChild(child);
    throw error === deadline.reason
      ? new ServiceError("ERR_TIMEOUT", `${label} was not ready within ${deadlineMs} ms`)
      : error;
  }
}

/** Resolves with the ready event; rejects with what the service says in its place, or with the reason of `giveUp`. */
function untilReady(child: ChildProcess, { label, onEvent }: ChildOptions, giveUp: AbortSignal): Promise<ChildEvent> {
  return new Promise((resolve, reject) => {
    giveUp.addEventListener("abort", () => reject(giveUp.reason), { once: true });
    eachLine(child.stdout, (line) => {
      const said = lineSchema.safeParse(jsonOf(line)).data;
      if (said === undefined) reject(new ServiceError("ERR_INTERNAL", `${label} said something unexpected`));
      else if (isFailure(said)) reject(serviceErrorOf(label, said.error));
      else if (said.event === "ready") resolve(said);
      else onEvent?.(said);
    });
  });
}

type Said = z.infer<typeof lineSchema>;
type Failure = Extract<Said, { error: { message: string } }>;

const isFailure = (said: Said): said is Failure => !("event" in said);

const serviceErrorOf = (label: string, { code, message }: Failure["error"]): ServiceError =>
  new ServiceError(isErrorCode(code) ? code : "ERR_INTERNAL", `${label}: ${message}`);

/** Listens to the service's log and to its end. */
function watchEnd(child: ChildProcess, { label, onLog }: ChildOptions): AbortSignal {
  const ended = new AbortController();
  const log: string[] = [];
  eachLine(child.stderr, (line) => {
    log.push(line);
    if (log.length > TOLD_LOG_LINES) log.shift();
    onLog?.(line);
  });
  child.once("error", (cause) =>
    ended.abort(new ServiceError("ERR_INTERNAL", `${label} cannot be started`, { cause })),
  );
  // "close" comes when its output has been read to the end, so that the reason it gave is known by then
  child.once("close", (code, killedBy) => {
    const how = code === null ? `was ended by ${killedBy}` : `ended with exit code ${code}`;
    ended.abort(new ServiceError("ERR_INTERNAL", [`${label} ${how}`, ...log].join("\n")));
  });
  return ended.signal;
}

function eachLine(stream: Readable | null, listener: (line: string) => void): void {
  if (stream === null) throw new TypeError("unreachable: the child has pipes");
  createInterface({ input: stream }).on("line", listener);
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // the schema refuses that
  }
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_DEADLINE_MS);
  child.kill("SIGTERM");
  await ended;
  clearTimeout(timer);
}
