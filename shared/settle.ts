/** Waiting for several checks that run at once, with one answer whatever finishes first. */

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
