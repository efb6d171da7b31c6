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

export class MaterialsCache implements CryptographicMaterialsCache {
  readonly #encryption: ExpiringCache<Kept<NodeEncryptionMaterial>>;
  readonly #decryption: ExpiringCache<Kept<NodeDecryptionMaterial>>;
  #closed = false;

  /** @param options capacity: entries of either kind. */
  constructor(options: MaterialsCacheOptions) {
    this.#encryption = new ExpiringCache({ ...options, dispose: overwrite });
    this.#decryption = new ExpiringCache({ ...options, dispose: overwrite });
  }

  /** Data keys at the moment. */
  get size(): number {
    return this.#encryption.size + this.#decryption.size;
  }

  putEncryptionMaterial(key: string, material: NodeEncryptionMaterial, plaintextLength: number): void {
    if (this.#closed) overwriteSoon(material);
    else this.#encryption.set(key, { material, messages: 1, bytes: plaintextLength });
  }

  putDecryptionMaterial(key: string, material: NodeDecryptionMaterial): void {
    if (this.#closed) overwriteSoon(material);
    else this.#decryption.set(key, { material, messages: 0, bytes: 0 });
  }

  /** Counts the message that asks: the manager compares the counts with its limits, and asks for another key beyond them. */
  getEncryptionMaterial(key: string, plaintextLength: number): CacheEntry<NodeEncryptionMaterial> | false {
    const kept = this.#encryption.get(key);
    if (kept === undefined) return false;
    kept.messages += 1;
    kept.bytes += plaintextLength;
    return entryOf(kept);
  }

  getDecryptionMaterial(key: string): CacheEntry<NodeDecryptionMaterial> | false {
    const kept = this.#decryption.get(key);
    return kept !== undefined && entryOf(kept);
  }

  del(key: string): void {
    this.#encryption.delete(key);
    this.#decryption.delete(key);
  }

  /** Overwrites all data keys. What was asked for before, and comes only now, is not kept any more. */
  close(): void {
    this.#closed = true;
    this.#encryption.clear();
    this.#decryption.clear();
  }

  putBranchKeyMaterial(): never {
    throw new TypeError("MaterialsCache: keeps no branch keys");
  }

  getBranchKeyMaterial(): false {
    return false;
  }
}

/** What was found is young enough by the monotonic clock: the manager's own question, by the wall clock, is answered so. */
const entryOf = <M extends Material>({ material, messages, bytes }: Kept<M>): CacheEntry<M> => ({
  response: material,
  now: Date.now(),
  messagesEncrypted: messages,
  bytesEncrypted: bytes,
});
