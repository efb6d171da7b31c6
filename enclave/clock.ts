/**
 * Time, as something that is passed in. The parent instance may set the wall clock that an enclave sees (PITFALLS 12), so
 * ages and deadlines are measured on the monotonic clock, and `now()` serves only where the other side speaks of dates.
 */
export interface Clock {
  /** Wall-clock time. Nothing that protects a secret may rest on it. */
  now(): Date;
  /** Milliseconds that only ever grow, from an arbitrary start. */
  monotonicMs(): number;
  /** Runs `run` once after `delayMs`, or after 24 days if that is sooner; the returned function cancels it. A waiting timer keeps no process alive. */
  after(delayMs: number, run: () => void): () => void;
}

/** Beyond this, 24.8 days, setTimeout fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The process's own clocks. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, MAX_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
