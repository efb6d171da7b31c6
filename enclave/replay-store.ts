/**
 * Remembers what has been seen, for a time, so that nothing is served twice. What is not yet forgotten is never evicted to
 * make room: that would permit a replay to whoever sends enough. When there is no room, new things are refused instead.
 *
 * Kept is the SHA-256 of each id under a salt of the store's own, so that nobody can choose ids which collide in the table.
 * Memory: 48 to 56 bytes for each entry of `maxEntries`, as the table is a power of two (50.5 for 100,000), all of it
 * reserved at once; most systems hand it out only as it is written. Time: constant on average, besides one hash.
 */
import { createHash, randomBytes } from "node:crypto";
import { ServiceError } from "../shared/errors.js";
import type { Clock } from "./clock.js";

export interface ReplayLimits {
  /** How long each thing is remembered, on the monotonic clock. */
  readonly lifetimeMs: number;
  /** How many things are remembered at a time. */
  readonly maxEntries: number;
}

const DIGEST_WORDS = 8;
/** More than one per new entry, so that a store which was full shrinks again; few, so that no call takes long. */
const FORGOTTEN_PER_CALL = 2;

export class ReplayStore {
  readonly #what: string;
  readonly #clock: Clock;
  readonly #limits: ReplayLimits;
  readonly #salt = randomBytes(32);
  /** A ring of entries, oldest first, which is also the order in which they are forgotten. */
  readonly #digests: Uint32Array;
  readonly #seenAtMs: Float64Array;
  #oldest = 0;
  #size = 0;
  /** Open addressing, linear probing: 0, or an entry's place in the ring plus one. At most half of it is in use. */
  readonly #table: Uint32Array;

  /** @param what names one of the things in messages, with its article. */
  constructor(what: string, clock: Clock, limits: ReplayLimits) {
    this.#what = what;
    this.#clock = clock;
    this.#limits = limits;
    this.#digests = new Uint32Array(limits.maxEntries * DIGEST_WORDS);
    this.#seenAtMs = new Float64Array(limits.maxEntries);
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * limits.maxEntries)));
  }

  /** How many entries there are, expired ones that are not yet forgotten included. */
  get size(): number {
    return this.#size;
  }

  /**
   * Takes note of `id`; a text stands for its UTF-8 bytes. Check and note are one step: of two calls with one id, the
   * second throws, whatever runs between them.
   * @throws ServiceError ERR_REPLAYED when `id` was noted at most `lifetimeMs` ago; ERR_BUSY when there is no room.
   */
  remember(id: Uint8Array | string): void {
    const digest = this.#digestOf(id);
    const nowMs = this.#clock.monotonicMs();
    this.#forgetExpired(nowMs, FORGOTTEN_PER_CALL);
    const known = this.#find(digest);
    if (known !== undefined) {
      if (!this.#isExpired(known, nowMs)) {
        throw new ServiceError("ERR_REPLAYED", `expected ${this.#what} not seen before`);
      }
      this.#forgetExpired(nowMs, this.#size);
    }
    if (this.#size === this.#limits.maxEntries) {
      throw new ServiceError(
        "ERR_BUSY",
        `no room for ${this.#what}: ${this.#limits.maxEntries} are remembered already`,
      );
    }
    this.#insert(digest, nowMs);
  }

  #digestOf(id: Uint8Array | string): Uint32Array {
    const bytes = createHash("sha256").update(this.#salt).update(id).digest();
    return Uint32Array.from({ length: DIGEST_WORDS }, (_, word) => bytes.readUInt32LE(4 * word));
  }

  #isExpired(entry: number, nowMs: number): boolean {
    return nowMs - (this.#seenAtMs[entry] ?? 0) > this.#limits.lifetimeMs;
  }

  #forgetExpired(nowMs: number, atMost: number): void {
    for (let count = 0; count < atMost && this.#size > 0 && this.#isExpired(this.#oldest, nowMs); count++) {
      this.#removeFromTable(this.#oldest);
      this.#oldest = (this.#oldest + 1) % this.#limits.maxEntries;
      this.#size--;
    }
  }

  #insert(digest: Uint32Array, nowMs: number): void {
    const entry = (this.#oldest + this.#size) % this.#limits.maxEntries;
    this.#digests.set(digest, entry * DIGEST_WORDS);
    this.#seenAtMs[entry] = nowMs;
    this.#size++;
    let place = this.#homeOf(digest[0] ?? 0);
    while (this.#table[place] !== 0) place = this.#next(place);
    this.#table[place] = entry + 1;
  }

  #find(digest: Uint32Array): number | undefined {
    for (let place = this.#homeOf(digest[0] ?? 0); ; place = this.#next(place)) {
      const entry = (this.#table[place] ?? 0) - 1;
      if (entry < 0) return undefined;
      if (digest.every((word, index) => word === this.#digests[entry * DIGEST_WORDS + index])) return entry;
    }
  }

  /** Empties an entry's place, and moves up those behind it that would no longer be found (Knuth, TAOCP vol. 3, §6.4, algorithm R). */
  #removeFromTable(entry: number): void {
    let hole = this.#homeOfEntry(entry);
    while (this.#table[hole] !== entry + 1) hole = this.#next(hole);
    for (let place = this.#next(hole); this.#table[place] !== 0; place = this.#next(place)) {
      const other = (this.#table[place] ?? 0) - 1;
      if (this.#distance(this.#homeOfEntry(other), place) < this.#distance(hole, place)) continue;
      this.#table[hole] = other + 1;
      hole = place;
    }
    this.#table[hole] = 0;
  }

  #homeOfEntry(entry: number): number {
    return this.#homeOf(this.#digests[entry * DIGEST_WORDS] ?? 0);
  }

  /** The table's length is a power of two. */
  #homeOf(word: number): number {
    return word & (this.#table.length - 1);
  }

  #next(place: number): number {
    return (place + 1) & (this.#table.length - 1);
  }

  /** Steps from one place of the table to another. */
  #distance(from: number, to: number): number {
    return (to - from) & (this.#table.length - 1);
  }
}
