/**
 * What the enclave has seen of each tenant's active branch key, so that the parent cannot go back to an older one unnoticed
 * (PITFALLS 27): the newest creation time that KMS has authenticated. An older active record would make the enclave encrypt
 * under a key that was replaced, perhaps because it got out.
 *
 * What it cannot notice: a rollback before the first look (every boot begins with nothing), a newer version that is never
 * shown, and a new record that somebody with kms:ReEncrypt made of an old key.
 */
import { ServiceError } from "../../../shared/errors.js";
import type { UnverifiedBranchKeyRecord } from "./branch-key-record.js";

export class BranchKeyHistory {
  readonly #capacity: number;
  /** Newest creation times by branch key; the one that was confirmed least recently first. */
  readonly #newest = new Map<string, string>();

  /** @param capacity when so many branch keys are remembered, the one confirmed least recently is forgotten. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#newest.size;
  }

  /**
   * Takes notice of an active record that KMS has authenticated.
   * @throws ServiceError ERR_ROLLBACK when a newer one has been seen.
   */
  advance({ branchKeyId, createdAt }: Pick<UnverifiedBranchKeyRecord, "branchKeyId" | "createdAt">): void {
    const newest = this.#newest.get(branchKeyId);
    if (newest !== undefined && createdAt < newest) {
      throw new ServiceError("ERR_ROLLBACK", "expected the active branch key seen before or a newer one, it is older");
    }
    this.#newest.delete(branchKeyId);
    if (this.#newest.size >= this.#capacity) this.#newest.delete(this.#newest.keys().next().value ?? "");
    this.#newest.set(branchKeyId, createdAt);
  }
}
