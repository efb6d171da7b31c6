/** Plaintext branch keys in the enclave's memory: overwritten when they leave, be it by age, for want of room or on demand. */
import { wipe } from "../../../shared/bytes.js";
import type { Clock } from "../../clock.js";
import { ExpiringCache } from "../../expiring-cache.js";

/** A plaintext key, its holder's own. */
export interface BranchKey {
  /** UUID. */
  readonly version: string;
  readonly key: Uint8Array;
}

export interface BranchKeyCacheOptions {
  readonly clock: Clock;
  readonly capacity: number;
  readonly maxAgeSeconds: number;
}

/** An empty cache. What is put there is its own from then on; what it returns is to be copied before anything else happens. */
export const createBranchKeyCache = ({
  clock,
  capacity,
  maxAgeSeconds,
}: BranchKeyCacheOptions): ExpiringCache<BranchKey> =>
  new ExpiringCache({ clock, capacity, maxAgeMs: maxAgeSeconds * 1_000, dispose: ({ key }) => wipe(key) });
