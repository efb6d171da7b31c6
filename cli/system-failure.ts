/** What the operating system refused, in words for whoever sits at the terminal. */
import { CommandFailure } from "./command.js";

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "it is in use",
  EADDRNOTAVAIL: "this machine has no such address",
  EEXIST: "there is a file of that name",
  EISDIR: "it is a folder",
  ENOENT: "there is no such file",
  ENOSPC: "the disk is full",
  ENOTDIR: "a file is where a folder is expected",
  ENOTFOUND: "there is no host of that name",
  EPERM: "permission denied",
  EROFS: "the disk is read-only",
};

/** The failure of the command if `error` is one of the operating system, and otherwise `error` itself. */
export function systemFailure(what: string, error: unknown): unknown {
  if (!(error instanceof Error && "syscall" in error && "code" in error)) return error;
  const code = String(error.code);
  return new CommandFailure(1, `${what}: ${REASONS[code] ?? code}`, { cause: error });
}

const LISTENING = ["listen", "bind", "getaddrinfo"];

/** Whether `error` came of an address or a port to listen at. */
export const isOfListening = (error: unknown): boolean =>
  error instanceof Error && "syscall" in error && LISTENING.includes(String(error.syscall));

interface Place {
  readonly port: number;
  readonly host: string;
}

/** The failure to listen at a place; `option` gave its port. */
export function listenFailure(error: unknown, option: string, { port, host }: Place): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    const message = `--${option} ${port} is in use; give another one, or leave it out for a free one`;
    return new CommandFailure(1, message, { cause: error });
  }
  return systemFailure(code === "EACCES" ? `--${option} ${port}` : `--host ${host}`, error);
}
