/**
 * A bounded memory of intermediate certificates that have been verified, so that the next document of the same instance
 * costs two signature checks in place of five.
 *
 * An entry says one thing: the certificate with this SHA-256 was signed by the certificate with that SHA-256, as part of a
 * path that was verified up to a pinned root. It stands for the signature of that link alone. Dates, names, pathLen and
 * every other rule are checked again on each use, and the end-entity certificate is never remembered.
 *
 * Entries come from a `VerifiedPath` only, which nothing but a complete verification can make: neither wrong nor merely
 * self-consistent chains can enter, so strangers can neither poison the cache nor flush it.
 */
import type { VerifiedPath } from "./cert-path.js";

/** A certificate and its issuer, each by the SHA-256 of its DER in hexadecimal. */
export interface LinkIdentity {
  readonly sha256: string;
  readonly issuerSha256: string;
}

/** About 150 instances: a document brings three intermediates, of which the upper two are shared in a zone. */
const DEFAULT_MAX_ENTRIES = 256;

const keyOf = ({ sha256, issuerSha256 }: LinkIdentity): string => `${sha256} ${issuerSha256}`;

/** Verified intermediates, least recently used out first. Share one between verifications under any trust anchors. */
export class CertificateCache {
  readonly #maxEntries: number;
  /** Link → the certificate's public key, in order of use (a Map iterates in order of insertion). */
  readonly #keys = new Map<string, CryptoKey>();

  constructor({ maxEntries = DEFAULT_MAX_ENTRIES }: { readonly maxEntries?: number } = {}) {
    if (!Number.isSafeInteger(maxEntries) || maxEntries < 1) throw new TypeError("maxEntries is a positive integer");
    this.#maxEntries = maxEntries;
  }

  /** How many certificates are remembered. */
  get size(): number {
    return this.#keys.size;
  }

  /** The certificate's public key if exactly this link has been verified before. */
  recall(link: LinkIdentity): CryptoKey | undefined {
    const key = keyOf(link);
    const publicKey = this.#keys.get(key);
    if (publicKey) this.#touch(key, publicKey);
    return publicKey;
  }

  /** Remembers the intermediates of a verified path. */
  remember(path: VerifiedPath): void {
    for (const intermediate of path.intermediates) this.#touch(keyOf(intermediate), intermediate.publicKey);
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= this.#maxEntries) break;
      this.#keys.delete(oldest);
    }
  }

  #touch(key: string, publicKey: CryptoKey): void {
    this.#keys.delete(key);
    this.#keys.set(key, publicKey);
  }
}
