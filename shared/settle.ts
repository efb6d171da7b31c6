/** Waiting: for several checks that run at once, with one answer whatever finishes first; and no longer than a signal says. */

/**
 * Like `Promise.all`, but waits for every promise and rejects with the reason that comes first in the order given, so that
 * the error does not depend on timing and no rejection stays unhandled.
 */
export async function allInOrder<const T extends readonly unknown[]>(
  values: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  for (const outcome of await Promise.allSettled(values)) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
  return Promise.all(values);
}

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
