/** Trying a re-encryption again where the refusal is one that passes, with growing pauses. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";

const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_BUSY",
  "ERR_BUDGET",
  "ERR_ENCLAVE_UNAVAILABLE",
  "ERR_KEY_STORE",
  "ERR_KMS_UNAVAILABLE",
  "ERR_TIMEOUT",
]);

/** Eight attempts with at most a minute and a half between the first and the last: a budget of a minute is full again. */
const MAX_ATTEMPTS = 8;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;

export interface Pauses {
  /** Waits. @throws the signal's reason */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** From 0 to below 1. */
  random(): number;
}

export const REAL_PAUSES: Pauses = {
  wait: async (ms, signal) => {
    await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
  },
  random: Math.random,
};

/** The outcome of `run`, or of one of its repetitions. @throws what the last one throws; the signal's reason */
export async function withPauses<T>(pauses: Pauses, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !(error instanceof ServiceError && PASSING.has(error.code))) throw error;
      const longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
      await pauses.wait(longest * (1 - pauses.random() / 2), signal);
    }
  }
}
