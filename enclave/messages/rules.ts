/**
 * What is asked of a message before KMS is: that it is for keys of the configuration which the caller may use, and that its
 * encryption context has the pairs that the configuration and the caller demand. The context of a message that exists is only
 * claimed at that point; it is given to KMS and authenticated with the contents, so one that lies does not open.
 */
import type { EncryptedDataKey, EncryptionContext } from "@aws-crypto/client-node";
import { ServiceError } from "../../shared/errors.js";
import { MAX_CONTEXT_PAIRS } from "../../shared/wire.js";
import type { DataKeySource } from "../data-keys/source.js";
import type { PinnedKey } from "../kms/pinned-keys.js";

/** The pair that the SDK adds to the context of signed messages; no caller chose it. */
const SIGNATURE_PAIR = "aws-crypto-public-key";
/** Names that the Encryption SDK keeps for itself (developer guide, "Encryption context"). */
const RESERVED_PREFIX = "aws-crypto-";
/** Message format, "AAD": its length is of 16 bits; what a signature adds is counted in. */
const MAX_CONTEXT_BYTES = 65_535 - 256;

/** The context without what the SDK added. */
export function chosenContext(encryptionContext: EncryptionContext): EncryptionContext {
  const { [SIGNATURE_PAIR]: _, ...chosen } = encryptionContext;
  return chosen;
}

/** Returns when the caller may use `key`. @throws ServiceError ERR_NOT_AUTHORIZED, ERR_ENCRYPTION_CONTEXT (of the enclave itself). */
export type Authorize = (key: PinnedKey, encryptionContext: EncryptionContext) => void;

/** Those keys of the configuration for which a message is. @throws ServiceError ERR_KMS_KEY: for none. */
export function keysOf(
  { encryptedDataKeys, encryptionContext }: Opened,
  source: Pick<DataKeySource, "keyOf">,
): PinnedKey[] {
  const keys = encryptedDataKeys.flatMap((encrypted) => source.keyOf(encrypted, encryptionContext) ?? []);
  if (keys.length === 0) throw new ServiceError("ERR_KMS_KEY", "expected a message for a key of the configuration");
  return [...new Map(keys.map((key) => [key.arn, key])).values()];
}

interface Opened {
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  readonly encryptionContext: EncryptionContext;
}

/** Those of `keys` that the caller may use; at least one. @throws what `authorize` throws for the first, where he may use none. */
export function usableKeys(keys: readonly PinnedKey[], context: EncryptionContext, authorize: Authorize): PinnedKey[] {
  const refusals: unknown[] = [];
  const usable = keys.filter((key) => {
    try {
      authorize(key, chosenContext(context));
      return true;
    } catch (error) {
      refusals.push(error);
      return false;
    }
  });
  if (usable.length === 0) throw refusals[0];
  return usable;
}

/** @throws ServiceError ERR_MESSAGE_MALFORMED when there are more pairs than policies are asked about; the SDK's own is not. */
export function assertFewPairs(encryptionContext: EncryptionContext): void {
  if (Object.keys(chosenContext(encryptionContext)).length <= MAX_CONTEXT_PAIRS) return;
  throw new ServiceError("ERR_MESSAGE_MALFORMED", `expected a context of at most ${MAX_CONTEXT_PAIRS} pairs`);
}

/** @throws ServiceError ERR_ENCRYPTION_CONTEXT when the context lacks a pair that the caller expects, or a name that the configuration requires. */
export function assertContext(
  encryptionContext: EncryptionContext,
  { expected, required }: { readonly expected: EncryptionContext; readonly required: readonly string[] },
): void {
  const has = ([name, value]: [string, string]): boolean =>
    Object.hasOwn(encryptionContext, name) && encryptionContext[name] === value;
  if (!Object.entries(expected).every(has)) {
    throw new ServiceError("ERR_ENCRYPTION_CONTEXT", "expected every given pair in the message's encryption context");
  }
  const missing = required.find((name) => !Object.hasOwn(encryptionContext, name) || encryptionContext[name] === "");
  if (missing === undefined) return;
  throw new ServiceError(
    "ERR_ENCRYPTION_CONTEXT",
    `expected the pair "${missing}" with a value, as the configuration requires`,
  );
}

/** @throws ServiceError ERR_MESSAGE_MALFORMED when a new message cannot have this context. */
export function assertNewContext(encryptionContext: EncryptionContext): void {
  assertFewPairs(encryptionContext);
  if (Object.keys(encryptionContext).some((name) => name.startsWith(RESERVED_PREFIX))) {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", `expected no name that begins with ${RESERVED_PREFIX}`);
  }
  const texts = Object.entries(encryptionContext).flat();
  const bytes = texts.reduce((sum, text) => sum + 2 + Buffer.byteLength(text), 2);
  if (bytes <= MAX_CONTEXT_BYTES) return;
  throw new ServiceError("ERR_MESSAGE_MALFORMED", `expected a context of at most ${MAX_CONTEXT_BYTES} bytes`);
}
