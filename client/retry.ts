/**
 * Trying again, where that does no harm: only calls that may be made twice, and only when nobody answered or somebody was
 * too busy. Everything else that comes back is an answer.
 */
import type { ErrorCode } from "../shared/errors.js";
import { ServiceError } from "../shared/errors.js";

export interface RetryOptions {
  /** How often a call is made again, at the most. */
  readonly maxRetries: number;
  /** Before the first repetition; doubled for each further one, and then shortened by chance by up to a half. */
  readonly retryDelayMs: number;
}

const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["ERR_BUSY", "ERR_ENCLAVE_UNAVAILABLE"]);

/** The outcome of `run`, or of its repetition. @throws what the last one throws; the reason of `signal`. */
export async function withRetries<T>(
  { maxRetries, retryDelayMs }: RetryOptions,
  signal: AbortSignal,
  run: () => Promise<T>,
): Promise<T> {
  for (let retry = 0; ; retry++) {
    try {
      return await run();
    } catch (error) {
      if (retry >= maxRetries || !(error instanceof ServiceError && PASSING.has(error.code))) throw error;
      await delay(retryDelayMs * 2 ** retry * (1 - Math.random() / 2), signal);
    }
  }
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
