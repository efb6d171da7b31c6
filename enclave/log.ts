/**
 * What the enclave may write to a log: these fields and no others (PITFALLS 25). A log leaves the enclave through the
 * parent, so there is no field for plaintext, ciphertext, credentials or nonces, and of the encryption context only a keyed
 * hash and the values that the measured configuration says may be logged.
 */
import type { ErrorCode } from "../shared/errors.js";

export interface LogFields {
  readonly requestId?: string;
  readonly operation?: string;
  readonly code?: ErrorCode;
  /** The message of a ServiceError: expectation and fact, never input bytes. */
  readonly reason?: string;
  readonly keyArn?: string;
  /** A Region of AWS. */
  readonly region?: string;
  readonly status?: number;
  readonly elapsedMs?: number;
  /** The wall clock, ahead of the NSM's time. */
  readonly wallAheadMs?: number;
  readonly address?: string;
  readonly moduleId?: string;
  /** Hexadecimal PCR16. */
  readonly configurationPcr?: string;
  /** Of a shared sealing identity. */
  readonly epoch?: number;
  /** `NAME/SUBJECT`. */
  readonly principal?: string;
  readonly action?: string;
  /** Keyed hash of the encryption context: authorization/decision-log.ts. */
  readonly contextHash?: string;
  readonly channel?: string;
  readonly decision?: "permit" | "deny";
  readonly policyIds?: readonly string[];
  /** The pairs of the encryption context that the configuration names in `loggable`. */
  readonly loggedContext?: Readonly<Record<string, string>>;
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
