/**
 * Bounded concurrency with a bounded queue: so many at a time, so many waiting, and whoever comes after that is refused
 * at once instead of being kept in memory.
 */
import { ServiceError } from "../shared/errors.js";

export interface GateLimits {
  readonly maxConcurrent: number;
  readonly maxQueued: number;
}

export class Gate {
  readonly #what: string;
  readonly #limits: GateLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** @param what names the thing in messages, in the plural. */
  constructor(what: string, limits: GateLimits) {
    this.#what = what;
    this.#limits = limits;
  }

  /** How many run now. */
  get running(): number {
    return this.#running;
  }

  /**
   * Runs `run` when its turn comes (first come, first served).
   * @throws ServiceError ERR_BUSY when the queue is full; the signal's reason when it aborts while waiting.
   */
  async run<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await run();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running < this.#limits.maxConcurrent) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= this.#limits.maxQueued) {
      throw new ServiceError("ERR_BUSY", `${this.#what}: more than ${this.#limits.maxQueued} are waiting already`);
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal?.reason);
      };
      const enter = (): void => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(enter);
    });
  }

  /** Hands the place on to the next in line, or gives it up. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running--;
  }
}
