/**
 * Data key caching: the Encryption SDK's caching materials manager in front of another source. A data key serves the messages
 * of one partition, with one encryption context and suite, until it is too old or has encrypted enough messages or bytes
 * (https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/data-key-caching.html).
 *
 * What a caller may do is decided for each message before this is asked, and partitions are by tenant and class of caller
 * besides, so a key that one has had fetched serves nobody whom the policies tell apart from him. Streams get a key of their
 * own: how much they encrypt is not known when the key is chosen.
 */
import { createHash } from "node:crypto";
import type {
  DecryptionRequest,
  EncryptedDataKey,
  EncryptionContext,
  EncryptionRequest,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
  NodeMaterialsManager,
} from "@aws-crypto/client-node";
import { NodeCachingMaterialsManager } from "@aws-crypto/client-node";
import type { Clock } from "../clock.js";
import type { PinnedKey } from "../kms/pinned-keys.js";
import { MaterialsCache } from "./materials-cache.js";
import type { DataKeySource, DataKeyUse } from "./source.js";
import { Turns } from "./turns.js";

export interface CachingLimits {
  /** How long a data key is used, at most. */
  readonly maxAgeSeconds: number;
  /** Messages that one data key encrypts. */
  readonly maxMessages: number;
  /** Bytes of plaintext that one data key encrypts. */
  readonly maxBytes: number;
  /** Data keys for new messages that are kept at a time, and as many for messages that are opened. */
  readonly capacity: number;
}

export interface CachedDataKeysOptions {
  readonly source: DataKeySource;
  readonly limits: CachingLimits;
  readonly clock: Clock;
}

export class CachedDataKeys implements DataKeySource {
  readonly #source: DataKeySource;
  readonly #limits: CachingLimits;
  readonly #clock: Clock;
  #cache: MaterialsCache;
  readonly #turns = new Turns();

  constructor({ source, limits, clock }: CachedDataKeysOptions) {
    this.#source = source;
    this.#limits = limits;
    this.#clock = clock;
    this.#cache = this.#emptyCache();
  }

  keyOf(encryptedDataKey: EncryptedDataKey, encryptionContext: EncryptionContext): PinnedKey | undefined {
    return this.#source.keyOf(encryptedDataKey, encryptionContext);
  }

  decryptMaterials(request: DecryptionRequest, use: DataKeyUse): Promise<NodeDecryptionMaterial> {
    const keys = request.encryptedDataKeys.map(({ encryptedDataKey }) => encryptedDataKey);
    const turn = digestOf(use.partition, request, keys);
    return this.#turns.run(turn, () => this.#manager(use).decryptMaterials(request), use.signal);
  }

  encryptMaterials(request: EncryptionRequest, use: DataKeyUse): Promise<NodeEncryptionMaterial> {
    if (request.plaintextLength === undefined) return this.#source.encryptMaterials(request, use); // a stream
    const turn = digestOf(use.partition, request, []);
    return this.#turns.run(turn, () => this.#manager(use).getEncryptionMaterials(request), use.signal);
  }

  wipe(): void {
    this.#cache.close();
    this.#cache = this.#emptyCache();
    this.#source.wipe();
  }

  #emptyCache(): MaterialsCache {
    const { capacity, maxAgeSeconds } = this.#limits;
    return new MaterialsCache({ capacity, maxAgeMs: maxAgeSeconds * 1_000, clock: this.#clock });
  }

  #manager(use: DataKeyUse): NodeMaterialsManager {
    const { maxAgeSeconds, maxBytes, maxMessages } = this.#limits;
    return new NodeCachingMaterialsManager({
      cache: this.#cache.forRequest(),
      backingMaterials: {
        getEncryptionMaterials: (request) => this.#source.encryptMaterials(request, use),
        decryptMaterials: (request) => this.#source.decryptMaterials(request, use),
      },
      partition: use.partition,
      maxAge: maxAgeSeconds * 1_000,
      maxBytesEncrypted: maxBytes,
      maxMessagesEncrypted: maxMessages,
    });
  }
}

/** What the manager would find by the same key: one that misses it waits for the other. */
function digestOf(
  partition: string,
  { suite, encryptionContext }: DecryptionRequest | EncryptionRequest,
  encryptedDataKeys: readonly Uint8Array[],
): string {
  const pairs = Object.entries(encryptionContext).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash("sha256").update(JSON.stringify([partition, suite?.id, pairs]));
  for (const key of encryptedDataKeys) hash.update(key);
  return hash.digest("base64");
}
