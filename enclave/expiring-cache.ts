/**
 * Values that are kept for a while, and never more than so many: the one that was not used for longest leaves first. Ages are
 * measured on the monotonic clock (PITFALLS 12). Whatever leaves is disposed of, also when nobody asks for it any more, and then
 * no more than a second after its time.
 */
import type { Clock } from "./clock.js";

export interface ExpiringCacheOptions<V> {
  /** Entries at a time, 1 at least. */
  readonly capacity: number;
  readonly maxAgeMs: number;
  readonly clock: Clock;
  /** Told each value that leaves, once; it may be overwritten then. */
  readonly dispose?: (value: V) => void;
}

interface Entry<V> {
  readonly value: V;
  readonly untilMs: number;
}

/** Between two looks for what has grown too old, or to the first. */
const MIN_SWEEP_MS = 1_000;

export class ExpiringCache<V> {
  readonly #options: ExpiringCacheOptions<V>;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry<V>>();
  #cancelSweep: (() => void) | undefined;
  /** When the next look is. */
  #sweepAtMs = Number.POSITIVE_INFINITY;

  constructor(options: ExpiringCacheOptions<V>) {
    this.#options = options;
  }

  /** Entries, those that have grown too old and were not asked for included. */
  get size(): number {
    return this.#entries.size;
  }

  /** The value, if there is one and it is young enough. */
  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (this.#isOld(entry)) {
      this.delete(key);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Keeps `value`, in the place of what was there. @param maxAgeMs less than the cache's, where it is to leave sooner. */
  set(key: string, value: V, maxAgeMs = this.#options.maxAgeMs): void {
    const { capacity, clock } = this.#options;
    if (this.#entries.get(key)?.value === value)
      this.#entries.delete(key); // it stays, as the one that was used last
    else this.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < capacity) break;
      this.delete(oldest);
    }
    const untilMs = clock.monotonicMs() + Math.min(maxAgeMs, this.#options.maxAgeMs);
    this.#entries.set(key, { value, untilMs });
    this.#sweepAt(untilMs);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#options.dispose?.(entry.value);
  }

  /** Lets go of everything. */
  clear(): void {
    for (const key of [...this.#entries.keys()]) this.delete(key);
    this.#cancelSweep?.();
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
  }

  #isOld({ untilMs }: Entry<V>): boolean {
    return this.#options.clock.monotonicMs() >= untilMs;
  }

  /** Looks then, unless it looks sooner. */
  #sweepAt(untilMs: number): void {
    const { clock } = this.#options;
    const delayMs = Math.max(untilMs - clock.monotonicMs(), MIN_SWEEP_MS);
    const atMs = clock.monotonicMs() + delayMs;
    if (atMs >= this.#sweepAtMs) return;
    this.#cancelSweep?.();
    this.#sweepAtMs = atMs;
    this.#cancelSweep = clock.after(delayMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#sweepAtMs = Number.POSITIVE_INFINITY;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [key, entry] of [...this.#entries]) {
      if (this.#isOld(entry)) this.delete(key);
      else nextMs = Math.min(nextMs, entry.untilMs);
    }
    if (this.#entries.size > 0) this.#sweepAt(nextMs);
  }
}
