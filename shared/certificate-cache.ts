/**
 * A bounded memory of intermediate certificates that have been verified, so that the next document of the same instance
 * costs two signature checks in place of five.
 *
 * An entry says one thing: the certificate with this SHA-256 was signed by the certificate with that SHA-256, as part of a
 * path that was verified up to a pinned root. It stands for the signature of that link alone. Dates, names, pathLen and
 * every other rule are checked again on each use, and the end-entity certificate is never remembered.
 *
 * Entries come from a `VerifiedPath` only, which nothing but a complete verification can make: neither wrong chains nor
 * chains that hold under a root of their own can enter, so that strangers can neither poison the cache nor flush it.
 */
import type { VerifiedIntermediate } from "./cert-path.js";
import { VerifiedPath } from "./cert-path.js";

/** About a hundred instances: a document brings three intermediates, of which instances of one zone share the upper two. */
const DEFAULT_MAX_ENTRIES = 128;

/** Verified intermediates, least recently used out first. One cache may serve any trust anchors. */
export class CertificateCache {
  readonly #maxEntries: number;
  /**
   * By public key, in the order of use (a Map iterates in the order of insertion). A key can be looked up without waiting
   * for a hash; a renewed certificate with the same key takes the place of the one before it.
   */
  readonly #entries = new Map<string, VerifiedIntermediate>();

  constructor({ maxEntries = DEFAULT_MAX_ENTRIES }: { readonly maxEntries?: number } = {}) {
    if (!Number.isSafeInteger(maxEntries) || maxEntries < 1) throw new TypeError("maxEntries is a positive integer");
    this.#maxEntries = maxEntries;
  }

  /** How many certificates are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * What is remembered of the certificate with this public key, a point in hexadecimal. It proves something about a certificate only where both
   * hashes are those of the certificate and of its issuer; to compare them is the caller's part.
   */
  recall(point: string): VerifiedIntermediate | undefined {
    const entry = this.#entries.get(point);
    if (entry) this.#put(entry);
    return entry;
  }

  /** Remembers the intermediates of a verified path. */
  remember(path: VerifiedPath): void {
    if (!(path instanceof VerifiedPath)) throw new TypeError("only a VerifiedPath can be remembered");
    for (const intermediate of path.intermediates) this.#put(intermediate);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries) break;
      this.#entries.delete(oldest);
    }
  }

  /** Puts an entry at the recent end. */
  #put(entry: VerifiedIntermediate): void {
    this.#entries.delete(entry.point);
    this.#entries.set(entry.point, entry);
  }
}
