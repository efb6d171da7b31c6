/**
 * The encryption contexts of what belongs to the enclave itself: branch keys, the sealing seeds of fleets, and the private
 * key of a provided TLS certificate. Their ciphertexts and contexts are public, and AWS KMS opens them for this enclave: a
 * caller who could name such a context would have them opened for him, or make one that he knows (PITFALLS 3), and a policy
 * that permits callers the key cannot tell them apart from his own. KMS demands the exact context of a ciphertext (KMS
 * Developer Guide, "Encryption context"), so what is refused here is opened for no caller, whatever the policies say.
 *
 * Asked by the guard for every key of every operation. Not asked: a function that uses the attested client itself.
 */
import { ServiceError } from "../../shared/errors.js";
import type { Configuration } from "../configuration.js";
import { isBranchKeyContext } from "../data-keys/branch/branch-key-record.js";
import type { PinnedKey } from "../kms/pinned-keys.js";
import { isSealingSeedContext } from "../sealing/sealing-seeds.js";

type EncryptionContext = Readonly<Record<string, string>>;

interface KeyAndContext {
  readonly key: PinnedKey | undefined;
  readonly encryptionContext: EncryptionContext;
}

export interface OwnContextsOptions extends Pick<Configuration, "keys"> {
  readonly channels: Pick<Configuration["channels"], "tls">;
}

export class OwnContexts {
  readonly #tls: KeyAndContext | undefined;

  constructor({ channels: { tls }, keys }: OwnContextsOptions) {
    if (tls?.certificate !== "provided") return;
    const { keyId, encryptionContext } = tls.privateKey;
    this.#tls = { key: keys.resolve(keyId), encryptionContext };
  }

  /**
   * Returns when `encryptionContext` may be one that a caller chose for `key`.
   * @throws ServiceError ERR_ENCRYPTION_CONTEXT when it is one of the enclave's own.
   */
  assertCallersContext({ key, encryptionContext }: KeyAndContext): void {
    if (isBranchKeyContext(encryptionContext)) throw refusal("a branch key's record");
    if (isSealingSeedContext(encryptionContext)) throw refusal("a fleet's sealing seed");
    if (this.#isTlsKey({ key, encryptionContext })) throw refusal("the enclave's TLS private key");
  }

  /** The same pairs, in whatever order, under the same key. */
  #isTlsKey({ key, encryptionContext }: KeyAndContext): boolean {
    if (this.#tls === undefined || key?.arn !== this.#tls.key?.arn) return false;
    const own = Object.entries(this.#tls.encryptionContext);
    const isEqual = ([name, value]: [string, string]): boolean =>
      Object.hasOwn(encryptionContext, name) && encryptionContext[name] === value;
    return own.length === Object.keys(encryptionContext).length && own.every(isEqual);
  }
}

const refusal = (what: string): ServiceError =>
  new ServiceError("ERR_ENCRYPTION_CONTEXT", `expected a context that is not of ${what}`);
