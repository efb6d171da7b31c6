/** A deadline around a promise, on an injected clock. */
import { ServiceError } from "../shared/errors.js";
import type { Clock } from "./clock.js";

export interface Deadline {
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** What is being waited for, for the error's message. */
  readonly what: string;
}

/**
 * Runs `run` and waits for it until the deadline; its signal then aborts. What comes late is dropped: it reaches nobody.
 * @throws ServiceError ERR_TIMEOUT, or what `run` throws in time.
 */
export async function withinDeadline<T>(
  { clock, deadlineMs, what }: Deadline,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let cancel = (): void => undefined;
  const passed = new Promise<never>((_, reject) => {
    cancel = clock.after(deadlineMs, () => {
      const error = new ServiceError("ERR_TIMEOUT", `${what}: no result within ${deadlineMs} ms`);
      reject(error);
      controller.abort(error);
    });
  });
  try {
    return await Promise.race([run(controller.signal), passed]);
  } finally {
    cancel();
  }
}
