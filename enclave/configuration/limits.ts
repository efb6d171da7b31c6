/** `limits`: how much the enclave does at a time. */
import { z } from "zod";

export const limits = z.strictObject({
  /** Requests being served at a time; more are refused. */
  maxConcurrentRequests: z.int().min(1).max(4_096).default(256),
  /** From the end of a request's head to its answer. */
  requestDeadlineSeconds: z.int().min(1).max(300).default(30),
  /** Connections to KMS at a time. */
  maxKmsConnections: z.int().min(1).max(1_024).default(64),
  /** KMS requests that wait for a connection. */
  maxQueuedKmsRequests: z.int().min(0).max(65_536).default(1_024),
  /** Encrypted data keys that a message may carry, each of which may cost a KMS call. */
  maxEncryptedDataKeys: z.int().min(1).max(16).default(4),
});
