/**
 * A clock that stands until it is told, for an enclave and a simulated KMS together: what passes is the time of the workload,
 * so the ages of keys in memory count as they would, and no count depends on how fast this machine is.
 */
import type { Clock } from "../../enclave/clock.js";
import { MinHeap } from "../../enclave/min-heap.js";

/** When every workload begins. */
const START_MS = Date.UTC(2026, 10, 24, 12);

interface Timer {
  readonly run: () => void;
  cancelled: boolean;
}

export class VirtualClock implements Clock {
  #elapsedMs = 0;
  readonly #timers = new MinHeap<Timer>();

  now(): Date {
    return new Date(START_MS + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer: Timer = { run, cancelled: false };
    this.#timers.push(this.#elapsedMs + delayMs, timer);
    return () => {
      timer.cancelled = true;
    };
  }

  /** Lets time pass, and every timer that is due with it. */
  advance(ms: number): void {
    this.#elapsedMs += ms;
    while (this.#timers.least <= this.#elapsedMs) {
      const timer = this.#timers.pop();
      if (timer !== undefined && !timer.cancelled) timer.run();
    }
  }
}
