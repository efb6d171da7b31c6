/**
 * What a command of `nitro-decrypt` is: a name, a help text and a function from arguments to an exit code.
 *
 * Exit codes: 0 for success, 1 for a refusal or a failure (its code on stderr), 2 for wrong usage. Commands touch the
 * outside only through `Io`, so that a test runs them whole.
 */
import { ServiceError, toServiceError } from "../shared/errors.js";

/** The process as a command sees it. */
export interface Io {
  stdout(output: string | Uint8Array): void;
  /** Like `stdout`, and returns when the reader has taken it: for output of any size. */
  write(output: Uint8Array): Promise<void>;
  stderr(text: string): void;
  stdin(): AsyncIterable<Uint8Array>;
  now(): Date;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Whether stdout is a terminal that wants colours. */
  readonly color: boolean;
  /** Whether somebody watches stderr, so that progress may be shown there. */
  readonly watched: boolean;
  /** Aborted when the process is told to end (SIGINT, SIGTERM, or the end of the process that started it). */
  readonly interrupted: AbortSignal;
}

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole `--help` text. */
  readonly usage: string;
  run(argv: readonly string[], io: Io): Promise<number>;
}

/** Ends a command with a message and an exit code: 2 for wrong usage, 1 for what is wrong with the input. */
export class CommandFailure extends Error {
  readonly exitCode: 1 | 2;

  constructor(exitCode: 1 | 2, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "CommandFailure";
    this.exitCode = exitCode;
  }
}

/** A command whose `run` answers `--help` and turns whatever `execute` throws into a message and an exit code. */
export function defineCommand(definition: {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  execute(argv: readonly string[], io: Io): Promise<number>;
}): Command {
  const { name, summary, usage, execute } = definition;
  const run = async (argv: readonly string[], io: Io): Promise<number> => {
    const options = optionsOf(argv);
    if (options.includes("--help") || options.includes("-h")) {
      io.stdout(usage);
      return 0;
    }
    try {
      return await execute(argv, io);
    } catch (error) {
      return reportFailure(name, error, io, options.includes("--json"));
    }
  };
  return { name, summary, usage, run };
}

/** What stands before `--`: what follows is not an option. */
function optionsOf(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return end === -1 ? argv : argv.slice(0, end);
}

/** The failure on stderr for people, and with `--json` also on stdout for machines. */
function reportFailure(name: string, error: unknown, io: Io, json: boolean): number {
  const { exitCode, code, message } = describeFailure(error);
  if (json) io.stdout(`${JSON.stringify({ error: { code, message } })}\n`);
  io.stderr(`nitro-decrypt ${name}: ${code === undefined ? "" : `${code}: `}${message}\n`);
  if (exitCode === 2) io.stderr(`Run "nitro-decrypt ${name} --help" for its usage.\n`);
  return exitCode;
}

function describeFailure(error: unknown): { exitCode: 1 | 2; code?: string; message: string } {
  if (error instanceof CommandFailure) return { exitCode: error.exitCode, message: error.message };
  if (isArgumentError(error)) return { exitCode: 2, message: error.message };
  const { code, message } = toServiceError(error);
  // What is behind an ERR_INTERNAL is for whoever sits at the terminal; the causes of refusals are not.
  return { exitCode: 1, code, message: error instanceof ServiceError ? message : `${message} (${String(error)})` };
}

/** `util.parseArgs` throws a TypeError whose code starts so, with a message made for the person at the terminal. */
function isArgumentError(error: unknown): error is TypeError {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
