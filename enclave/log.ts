/**
 * What the enclave may write to a log: these fields and no others (PITFALLS 25). A log leaves the enclave through the
 * parent, so there is no field for plaintext, ciphertext, credentials, nonces, or encryption-context values.
 */
import type { ErrorCode } from "../shared/errors.js";

export interface LogFields {
  readonly requestId?: string;
  readonly operation?: string;
  readonly code?: ErrorCode;
  /** The message of a ServiceError: expectation and fact, never input bytes. */
  readonly reason?: string;
  readonly keyArn?: string;
  readonly status?: number;
  readonly elapsedMs?: number;
  readonly address?: string;
  readonly moduleId?: string;
  /** Hexadecimal PCR16. */
  readonly configurationPcr?: string;
  /** Name of an unexpected error's class; its message may hold input and stays unsaid. */
  readonly errorName?: string;
}

/** A structured log; a pino logger is one. */
export interface Logger {
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** Writes nothing. */
export const silentLogger: Logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
