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
