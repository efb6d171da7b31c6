/**
 * Where the Encryption SDK's caching materials manager keeps data keys. The SDK's own cache measures ages by the wall clock,
 * which the host may set (PITFALLS 12), and cannot be emptied; this one measures them by the monotonic clock, overwrites what
 * leaves, and ends on demand.
 */
import type {
  CacheEntry,
  CryptographicMaterialsCache,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
} from "@aws-crypto/client-node";
import type { Clock } from "../clock.js";
import { ExpiringCache } from "../expiring-cache.js";

type Material = NodeEncryptionMaterial | NodeDecryptionMaterial;

interface Kept<M extends Material> {
  readonly material: M;
  messages: number;
  bytes: number;
}

export interface MaterialsCacheOptions {
  readonly capacity: number;
  readonly maxAgeMs: number;
  readonly clock: Clock;
}

const overwrite = <M extends Material>({ material }: Kept<M>): void => void material.zeroUnencryptedDataKey();

/** The manager hands out a copy of what it puts here, which it makes as soon as this returns. */
const overwriteSoon = (material: Material): void => queueMicrotask(() => void material.zeroUnencryptedDataKey());

export class MaterialsCache {
  readonly #options: MaterialsCacheOptions;
  readonly #encryption: ExpiringCache<Kept<NodeEncryptionMaterial>>;
  readonly #decryption: ExpiringCache<Kept<NodeDecryptionMaterial>>;
  #closed = false;

  /** @param options capacity: entries of either kind. */
  constructor(options: MaterialsCacheOptions) {
    this.#options = options;
    this.#encryption = new ExpiringCache({ ...options, dispose: overwrite });
    this.#decryption = new ExpiringCache({ ...options, dispose: overwrite });
  }

  /** Data keys at the moment. */
  get size(): number {
    return this.#encryption.size + this.#decryption.size;
  }

  /**
   * The cache for one request that begins now. What it puts is as old as the request: KMS decided at some time after it was
   * asked, and whoever carries the answer may hold it back.
   */
  forRequest(): CryptographicMaterialsCache {
    const { clock, maxAgeMs } = this.#options;
    const untilMs = clock.monotonicMs() + maxAgeMs;
    const leftMs = (): number => (this.#closed ? 0 : untilMs - clock.monotonicMs());
    return {
      putEncryptionMaterial: (key, material, bytes) =>
        put(this.#encryption, { key, material, messages: 1, bytes }, leftMs()),
      putDecryptionMaterial: (key, material) =>
        put(this.#decryption, { key, material, messages: 0, bytes: 0 }, leftMs()),
      getEncryptionMaterial: (key, bytes) => this.#counting(key, bytes),
      getDecryptionMaterial: (key) => found(this.#decryption.get(key)),
      del: (key) => this.#delete(key),
      putBranchKeyMaterial: noBranchKeys,
      getBranchKeyMaterial: noBranchKeys,
    };
  }

  /** Overwrites all data keys. What was asked for before, and comes only now, is not kept any more. */
  close(): void {
    this.#closed = true;
    this.#encryption.clear();
    this.#decryption.clear();
  }

  /** Counts the message that asks: the manager compares the counts with its limits, and asks for another key beyond them. */
  #counting(key: string, bytes: number): CacheEntry<NodeEncryptionMaterial> | false {
    const kept = this.#encryption.get(key);
    if (kept !== undefined) {
      kept.messages += 1;
      kept.bytes += bytes;
    }
    return found(kept);
  }

  #delete(key: string): void {
    this.#encryption.delete(key);
    this.#decryption.delete(key);
  }
}

const noBranchKeys = (): never => {
  throw new TypeError("MaterialsCache: keeps no branch keys");
};

function put<M extends Material>(
  cache: ExpiringCache<Kept<M>>,
  { key, ...kept }: Kept<M> & { readonly key: string },
  leftMs: number,
): void {
  if (leftMs <= 0) overwriteSoon(kept.material);
  else cache.set(key, kept, leftMs);
}

const found = <M extends Material>(kept: Kept<M> | undefined): CacheEntry<M> | false =>
  kept !== undefined && entryOf(kept);

/** What was found is young enough by the monotonic clock: the manager's own question, by the wall clock, is answered so. */
const entryOf = <M extends Material>({ material, messages, bytes }: Kept<M>): CacheEntry<M> => ({
  response: material,
  now: Date.now(),
  messagesEncrypted: messages,
  bytesEncrypted: bytes,
});
