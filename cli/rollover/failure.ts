/** Why a message was not re-encrypted, with a code: the enclave's (docs/errors.md), or one of these about the file. */
import { ServiceError, toServiceError } from "../../shared/errors.js";
import { hasCode } from "../../simulator/storage/storage-error.js";

export const FILE_CODES = {
  FILE_UNREADABLE: "the file cannot be read",
  FILE_UNWRITABLE: "the new file cannot be written beside it, or not be put in its place",
  FILE_CHANGED: "somebody changed or replaced the file meanwhile",
  ANSWER_REFUSED: "what came back is not the message under the new key alone with the same encryption context",
} as const;

export type FileCode = keyof typeof FILE_CODES;

export class FileFailure extends Error {
  readonly code: FileCode;

  constructor(code: FileCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "FileFailure";
    this.code = code;
  }
}

export interface Failure {
  readonly code: string;
  readonly message: string;
}

export const failureOf = (error: unknown): Failure => {
  if (error instanceof FileFailure) return { code: error.code, message: error.message };
  const { code, message } = toServiceError(error);
  return { code, message: error instanceof ServiceError ? message : `${message} (${String(error)})` };
};

/** `error` of the operating system under one of the codes above; all else as it is. */
export function fileFailure(code: FileCode, error: unknown): unknown {
  if (!(error instanceof Error && "syscall" in error && "code" in error)) return error;
  if (hasCode(error, "ELOOP")) return new FileFailure(code, "it is a symbolic link, which is not followed");
  return new FileFailure(code, `${FILE_CODES[code]}: ${String(error.code)}`, { cause: error });
}
