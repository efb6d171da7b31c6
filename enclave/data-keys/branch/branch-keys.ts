/**
 * Opens branch keys (KMS key → branch key of a tenant → data key of a message) and lends copies of them: the record comes
 * from the key store, attested KMS Decrypt opens it with the whole record as encryption context, and the plaintext stays in
 * memory for `maxAgeSeconds` after KMS was asked. Then the store and KMS are asked anew: a tenant whose record is gone, a
 * key that is disabled or a policy that has changed stops counting within that time.
 *
 * Requests for the same key at a time make one KMS call; refusals are remembered briefly; an active key older than one seen
 * before is refused. Whoever borrows gets a copy, so that no key is overwritten in the middle of its use: an all-zero key
 * would encrypt as well as any other.
 */
import { NodeBranchKeyMaterial } from "@aws-crypto/material-management";
import { copyBytes, wipe } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { ServiceError } from "../../../shared/errors.js";
import type { Clock } from "../../clock.js";
import { withinDeadline } from "../../deadline.js";
import { ExpiringCache } from "../../expiring-cache.js";
import { kmsErrorOf } from "../../kms/kms-errors.js";
import type { DataKeyKms } from "../source.js";
import { Turns } from "../turns.js";
import type { BranchKey } from "./branch-key-cache.js";
import { createBranchKeyCache } from "./branch-key-cache.js";
import { BranchKeyHistory } from "./branch-key-history.js";
import type { KeyStoreBinding, UnverifiedBranchKeyRecord, WantedBranchKey } from "./branch-key-record.js";
import { parseBranchKeyRecord } from "./branch-key-record.js";
import type { BranchKeyStorage } from "./branch-key-storage.js";

export interface BranchKeyLimits {
  readonly maxAgeSeconds: number;
  /** Keys in memory; an active key takes two places, because it is also the key of its version. */
  readonly capacity: number;
  readonly refusalSeconds: number;
}

export interface BranchKeysOptions extends KeyStoreBinding {
  /** The KMS key that is asked. */
  readonly keyArn: string;
  readonly clock: Clock;
  readonly storage: BranchKeyStorage;
  readonly limits: BranchKeyLimits;
}

/** Who asks: `kms` is asked where the key is not in memory, and the signal fires when nobody waits any more. */
export interface Borrower {
  readonly kms: Pick<DataKeyKms, "decrypt">;
  readonly signal?: AbortSignal | undefined;
}

/** For the key store to answer. */
const STORE_DEADLINE_MS = 9_000;
const MAX_REFUSALS = 10_000;
/** Branch keys whose newest creation time is remembered. */
const MAX_HISTORY = 100_000;
const BRANCH_KEY_BYTES = 32;

/** What says nothing of a key: the next one asks for himself. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "ERR_BUSY",
  "ERR_CREDENTIALS",
  "ERR_INTERNAL",
  "ERR_KEY_STORE",
  "ERR_KMS_UNAVAILABLE",
  "ERR_KMS_UNTRUSTED",
  "ERR_NSM",
  "ERR_TIMEOUT",
]);

export class BranchKeys {
  readonly #options: BranchKeysOptions;
  readonly #held: ExpiringCache<BranchKey>;
  /** Codes and messages: an error would keep its cause, with all that KMS answered. */
  readonly #refusals: ExpiringCache<Pick<ServiceError, "code" | "message">>;
  readonly #history = new BranchKeyHistory(MAX_HISTORY);
  readonly #turns = new Turns();
  /** How many times all keys were overwritten. */
  #wipes = 0;

  constructor(options: BranchKeysOptions) {
    const { clock, limits } = options;
    const { capacity, maxAgeSeconds, refusalSeconds } = limits;
    this.#options = options;
    this.#held = createBranchKeyCache({ clock, capacity, maxAgeSeconds });
    this.#refusals = new ExpiringCache({ capacity: MAX_REFUSALS, maxAgeMs: refusalSeconds * 1_000, clock });
  }

  /** Keys in memory. */
  get held(): number {
    return this.#held.size;
  }

  /**
   * A copy of the wanted key; the caller's to overwrite (`zeroUnencryptedDataKey`) as soon as it has served.
   * @throws ServiceError ERR_BRANCH_KEY, ERR_KMS_KEY, ERR_ROLLBACK, ERR_DECRYPTION_FAILED, those of an attested Decrypt
   *   (`attestKms`, `kmsErrorOf`), ERR_KEY_STORE; the signal's reason.
   */
  async borrow(wanted: WantedBranchKey, { kms, signal }: Borrower): Promise<NodeBranchKeyMaterial> {
    const held = this.#held.get(nameOf(wanted));
    if (held !== undefined) return copyOf(wanted, held);
    return this.#turns.run(nameOf(wanted), () => this.#take(wanted, kms), signal);
  }

  /** Overwrites all keys in memory and forgets refusals; what is being opened is not kept. */
  wipe(): void {
    this.#wipes++;
    this.#held.clear();
    this.#refusals.clear();
  }

  /** Whoever had the turn before may have found it, or learnt that there is nothing to be had. */
  async #take(wanted: WantedBranchKey, kms: Borrower["kms"]): Promise<NodeBranchKeyMaterial> {
    const held = this.#held.get(nameOf(wanted));
    if (held !== undefined) return copyOf(wanted, held);
    const refusal = this.#refusals.get(nameOf(wanted));
    if (refusal !== undefined) throw new ServiceError(refusal.code, `${refusal.message}, a moment ago`);
    const wipes = this.#wipes;
    try {
      return await this.#open(wanted, kms);
    } catch (error) {
      if (error instanceof ServiceError && wipes === this.#wipes) this.#remember(wanted, error);
      throw error;
    }
  }

  #remember(wanted: WantedBranchKey, { code, message }: ServiceError): void {
    if (!PASSING.has(code)) this.#refusals.set(nameOf(wanted), { code, message });
  }

  async #open(wanted: WantedBranchKey, kms: Borrower["kms"]): Promise<NodeBranchKeyMaterial> {
    const { clock, keyArn } = this.#options;
    const wipes = this.#wipes;
    const record = parseBranchKeyRecord(await this.#find(wanted), wanted, this.#options);
    const askedAtMs = clock.monotonicMs();
    const key = await decryptBranchKey(record, keyArn, kms);
    try {
      if (wanted.version === undefined) this.#history.advance(record);
      const opened = { version: record.version, key };
      if (wipes === this.#wipes) this.#keep(wanted, opened, askedAtMs);
      return copyOf(wanted, opened);
    } finally {
      wipe(key);
    }
  }

  /** @throws ServiceError ERR_BRANCH_KEY when there is no such record, ERR_KEY_STORE */
  async #find(wanted: WantedBranchKey): Promise<unknown> {
    const { clock, storage } = this.#options;
    const deadline = { clock, deadlineMs: STORE_DEADLINE_MS, what: "the key store" };
    const item = await withinDeadline(deadline, (signal) => storage.find(wanted, signal)).catch(storeErrorOf);
    if (item !== undefined) return item;
    throw new ServiceError("ERR_BRANCH_KEY", "expected a branch key of this tenant and version, the store has none");
  }

  /** A key's age counts from when KMS was asked for it. */
  #keep(wanted: WantedBranchKey, { version, key }: BranchKey, askedAtMs: number): void {
    const { clock, limits } = this.#options;
    const leftMs = askedAtMs + limits.maxAgeSeconds * 1_000 - clock.monotonicMs();
    if (leftMs <= 0) return;
    // KMS has authenticated which version the active key is: what is encrypted with it is opened without another call.
    const names = new Set([nameOf({ ...wanted, version }), nameOf(wanted)]);
    for (const name of names) this.#held.set(name, { version, key: copyBytes(key) }, leftMs);
  }
}

/** Unambiguous for any identifier: an active key has no version. */
const nameOf = ({ branchKeyId, version = "" }: WantedBranchKey): string => JSON.stringify([branchKeyId, version]);

function copyOf({ branchKeyId }: WantedBranchKey, { version, key }: BranchKey): NodeBranchKeyMaterial {
  const view = Buffer.from(key.buffer, key.byteOffset, key.length);
  return new NodeBranchKeyMaterial(view, branchKeyId, version, {});
}

/** The store has a deadline of its own: that it has passed is no deadline of whoever asked. */
function storeErrorOf(error: unknown): never {
  if (error instanceof ServiceError && error.code !== "ERR_TIMEOUT") throw error;
  throw new ServiceError("ERR_KEY_STORE", "expected an answer of the key store in time", { cause: error });
}

/** @throws ServiceError as `kmsErrorOf` has it; ERR_DECRYPTION_FAILED when what comes out is no branch key */
async function decryptBranchKey(
  { ciphertext, encryptionContext }: UnverifiedBranchKeyRecord,
  keyArn: string,
  kms: Borrower["kms"],
): Promise<Uint8Array> {
  const request = { KeyId: keyArn, CiphertextBlob: ciphertext, EncryptionContext: { ...encryptionContext } };
  const { Plaintext: plaintext } = await kms.decrypt(request).catch((error: unknown) => {
    throw kmsErrorOf(error);
  });
  if (plaintext?.length === BRANCH_KEY_BYTES) return plaintext;
  if (plaintext) wipe(plaintext);
  throw new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed");
}
