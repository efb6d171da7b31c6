/**
 * What KMS has refused is remembered for a moment: a message under a key that is disabled, or that its policy denies, is then
 * refused without a call, so that nobody can use up the account's request quota with it. Only refusals of KMS itself count,
 * which the same question would meet again; what may pass (a lost connection, throttling) is asked anew.
 */
import { createHash } from "node:crypto";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import type { Clock } from "../clock.js";
import { ExpiringCache } from "../expiring-cache.js";
import type { DataKeyKms } from "./source.js";

/** Refusals at a time: some 300 bytes each. */
const MAX_REMEMBERED = 10_000;

const REMEMBERED: ReadonlySet<ErrorCode> = new Set(["ERR_KMS_DENIED", "ERR_KMS_REFUSED"]);

/** What a call to KMS is about. */
interface Question {
  readonly KeyId?: string;
  readonly EncryptionContext?: Record<string, string>;
  readonly CiphertextBlob?: Uint8Array;
}

export class Refusals {
  /** Codes and messages: an error would keep its cause, with all that KMS answered. */
  readonly #remembered: ExpiringCache<Pick<ServiceError, "code" | "message">>;

  /** @param seconds how long a refusal is remembered. */
  constructor({ seconds, clock }: { readonly seconds: number; readonly clock: Clock }) {
    this.#remembered = new ExpiringCache({ capacity: MAX_REMEMBERED, maxAgeMs: seconds * 1_000, clock });
  }

  /** `kms`, which is not asked what it has refused lately. It then throws ServiceError with the same code. */
  guard({ decrypt, generateDataKey, encrypt }: DataKeyKms): DataKeyKms {
    return {
      decrypt: (request) => this.#ask("decrypt", request, () => decrypt(request)),
      generateDataKey: (request) => this.#ask("generateDataKey", request, () => generateDataKey(request)),
      encrypt: (request) => this.#ask("encrypt", request, () => encrypt(request)),
    };
  }

  /** Forgets them all. */
  wipe(): void {
    this.#remembered.clear();
  }

  async #ask<T>(operation: string, question: Question, call: () => Promise<T>): Promise<T> {
    const key = digestOf(operation, question);
    const refusal = this.#remembered.get(key);
    if (refusal !== undefined) throw new ServiceError(refusal.code, `${refusal.message}, a moment ago`);
    try {
      return await call();
    } catch (error) {
      if (error instanceof ServiceError && REMEMBERED.has(error.code)) {
        this.#remembered.set(key, { code: error.code, message: error.message });
      }
      throw error;
    }
  }
}

/** SHA-256 over the question; KMS takes no notice of the order of pairs. */
function digestOf(operation: string, { KeyId, EncryptionContext = {}, CiphertextBlob }: Question): string {
  const pairs = Object.entries(EncryptionContext).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash("sha256").update(JSON.stringify([operation, KeyId, pairs]));
  if (CiphertextBlob !== undefined) hash.update(CiphertextBlob);
  return hash.digest("base64");
}
