/**
 * What KMS has refused is remembered for a moment, and then refused without a call, so that nobody can use up the account's
 * request quota with it. How much a refusal says depends on what KMS named: the state of a key stands for all that the key is
 * asked, a denial for the operation under that key and context, anything else (an invalid ciphertext) for the same question alone.
 * Where a KeyId is given KMS uses that key and no other (KMS API Reference, "Decrypt"), so that its answer is about that key.
 *
 * Only refusals of KMS itself count, which the same question would meet again; what may pass (a lost connection, throttling) is
 * asked anew. Calls that are under way when the first of them is refused are not called back.
 */
import { createHash } from "node:crypto";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import type { Clock } from "../clock.js";
import { ExpiringCache } from "../expiring-cache.js";
import type { DataKeyKms } from "./source.js";

/** Refusals of each extent at a time: some 300 bytes each. */
const MAX_REMEMBERED = 10_000;

const REMEMBERED: ReadonlySet<ErrorCode> = new Set(["ERR_KMS_DENIED", "ERR_KMS_REFUSED"]);

/** What KMS says of a key itself, whatever it was asked (KMS API Reference, "Errors" of the cryptographic operations). */
const KEY_STATES: ReadonlySet<string> = new Set(["DisabledException", "KMSInvalidStateException", "NotFoundException"]);

/** What a refusal is remembered for, the widest first. */
const EXTENTS = ["key", "context", "question"] as const;
type Extent = (typeof EXTENTS)[number];

/** Code and message: an error would keep its cause, with all that KMS answered. */
type Refusal = Pick<ServiceError, "code" | "message">;

/** What a call to KMS is about. */
interface Question {
  readonly KeyId?: string;
  readonly EncryptionContext?: Record<string, string>;
  readonly CiphertextBlob?: Uint8Array;
}

export class Refusals {
  /** Each extent has room of its own: contexts and ciphertexts, of which anyone can make many, push out no key's state. */
  readonly #remembered: Readonly<Record<Extent, ExpiringCache<Refusal>>>;
  /** What was asked before a wipe is not remembered after it. */
  #wipes = 0;

  /** @param seconds how long a refusal is remembered. */
  constructor({ seconds, clock }: { readonly seconds: number; readonly clock: Clock }) {
    const create = () => new ExpiringCache<Refusal>({ capacity: MAX_REMEMBERED, maxAgeMs: seconds * 1_000, clock });
    this.#remembered = { key: create(), context: create(), question: create() };
  }

  /** `kms`, which is not asked what it has refused lately. It then throws ServiceError with the same code. */
  guard({ decrypt, generateDataKey, encrypt }: DataKeyKms): DataKeyKms {
    return {
      decrypt: (request) => this.#ask("decrypt", request, () => decrypt(request)),
      generateDataKey: (request) => this.#ask("generateDataKey", request, () => generateDataKey(request)),
      encrypt: (request) => this.#ask("encrypt", request, () => encrypt(request)),
    };
  }

  /** Forgets them all, and those of calls that are under way. */
  wipe(): void {
    this.#wipes++;
    for (const extent of EXTENTS) this.#remembered[extent].clear();
  }

  async #ask<T>(operation: string, question: Question, call: () => Promise<T>): Promise<T> {
    const names = namesOf(operation, question);
    const refusal = this.#find(names);
    if (refusal !== undefined) throw new ServiceError(refusal.code, `${refusal.message}, a moment ago`);
    const wipes = this.#wipes;
    try {
      return await call();
    } catch (error) {
      if (wipes === this.#wipes) this.#note(error, names);
      throw error;
    }
  }

  #find(names: Readonly<Record<Extent, string>>): Refusal | undefined {
    for (const extent of EXTENTS) {
      const refusal = this.#remembered[extent].get(names[extent]);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #note(error: unknown, names: Readonly<Record<Extent, string>>): void {
    if (!(error instanceof ServiceError) || !REMEMBERED.has(error.code)) return;
    const extent = extentOf(error);
    this.#remembered[extent].set(names[extent], { code: error.code, message: error.message });
  }
}

/** By the exception of KMS, which `kmsErrorOf` leaves as the cause. */
function extentOf({ code, cause }: ServiceError): Extent {
  if (cause instanceof Error && KEY_STATES.has(cause.name)) return "key";
  return code === "ERR_KMS_DENIED" ? "context" : "question";
}

/**
 * What the question is remembered by: its KeyId; SHA-256 over that, operation and context; SHA-256 over all of it. KMS takes no
 * notice of the order of pairs. A question without a KeyId never gets as far as KMS (kms-calls.ts).
 */
function namesOf(operation: string, { KeyId = "", EncryptionContext = {}, CiphertextBlob }: Question) {
  const pairs = Object.entries(EncryptionContext).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash("sha256").update(JSON.stringify([operation, KeyId, pairs]));
  const context = hash.copy().digest("base64");
  if (CiphertextBlob !== undefined) hash.update(CiphertextBlob);
  return { key: KeyId, context, question: hash.digest("base64") };
}
