/** Deadlines and signals around promises. */
import { ServiceError } from "../shared/errors.js";

/** The outcome of `promise`, or the reason of `signal` if that fires first; the promise then goes on for whoever else waits. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Runs `run` with a signal that fires at the deadline or with `given`, whichever comes first.
 * @throws ServiceError ERR_TIMEOUT at the deadline; the reason of `given`; else what `run` throws.
 */
export async function withDeadline<T>(
  { deadlineMs, signal: given }: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  given?.throwIfAborted();
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(new ServiceError("ERR_TIMEOUT", `no answer within ${deadlineMs} ms`)),
    deadlineMs,
  );
  const signal = given ? AbortSignal.any([given, deadline.signal]) : deadline.signal;
  try {
    return await run(signal);
  } catch (error) {
    if (signal.aborted) throw signal.reason; // what was interrupted tells it in words of its own
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
