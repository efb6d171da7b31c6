/** A deadline around a promise. */
import { ServiceError } from "../shared/errors.js";
import { abortable } from "../shared/settle.js";

/**
 * Runs `run` with a signal that fires at the deadline or with `given`, whichever comes first, and does not wait for it
 * longer: what `run` calls need not heed the signal.
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
    return await abortable(run(signal), signal);
  } catch (error) {
    if (signal.aborted) throw signal.reason; // what was interrupted tells it in words of its own
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
