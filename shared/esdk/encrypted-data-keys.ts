/**
 * The encrypted data keys in a message's header: copies of one data key, each wrapped by a key of a provider. What is in
 * them is for the provider; this module reads two things of it, a provider's text and the branch key of a hierarchical
 * keyring.
 *
 * Refused: no encrypted data key, more of them than the caller takes, a provider id that is not UTF-8.
 */
import type { ByteReader } from "../byte-reader.js";
import { toHex } from "../bytes.js";
import { malformed, readBlock, readText, textOf } from "./fields.js";
import { TAG_BYTES } from "./suites.js";

const BRANCH_KEY_PROVIDER = "aws-kms-hierarchy";

export interface EncryptedDataKey {
  readonly providerId: string;
  /** Which key of the provider: the ARN of a KMS key, the id of a branch key; for raw keyrings, binary. */
  readonly providerInfo: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/**
 * Reads the encrypted data keys behind their count. All bytes are views on the input.
 * @throws ServiceError ERR_MESSAGE_MALFORMED
 */
export function readEncryptedDataKeys(header: ByteReader, maximum: number): readonly EncryptedDataKey[] {
  const count = header.uint(2);
  if (count === 0 || count > maximum) {
    throw malformed(`expected 1 to ${maximum} encrypted data keys, there were ${count}`);
  }
  return Array.from({ length: count }, () => readEncryptedDataKey(header));
}

function readEncryptedDataKey(header: ByteReader): EncryptedDataKey {
  const providerId = readText(header, "a key provider id");
  const providerInfo = readBlock(header);
  return { providerId, providerInfo, ciphertext: readBlock(header) };
}

/** The provider's information as text, or undefined when it is not UTF-8 (that of a raw keyring is not). */
export const providerText = ({ providerInfo }: EncryptedDataKey): string | undefined => textOf(providerInfo);

/** Salt and IV of the wrapping, before the version; the version, a UUID. AWS Encryption SDK, AWS KMS hierarchical keyring. */
const BEFORE_VERSION_BYTES = 16 + 12;
const VERSION_BYTES = 16;
const KEY_BYTES: readonly number[] = [16, 24, 32];

/** The branch key that a data key is wrapped under. */
export interface BranchKeyName {
  readonly id: string;
  /** UUID of the version, in lower case. */
  readonly version: string;
}

/**
 * The branch key that wraps `key`, or undefined when its provider is another. Nothing of it is authentic before the data
 * key has been unwrapped.
 * @throws ServiceError ERR_MESSAGE_MALFORMED when the provider is the hierarchical keyring and the rest is not of its form.
 */
export function branchKeyOf(key: EncryptedDataKey): BranchKeyName | undefined {
  if (key.providerId !== BRANCH_KEY_PROVIDER) return undefined;
  const id = providerText(key);
  const wrappedBytes = key.ciphertext.length - BEFORE_VERSION_BYTES - VERSION_BYTES - TAG_BYTES;
  if (!id) throw malformed("expected the id of a branch key in UTF-8, it was not");
  if (!KEY_BYTES.includes(wrappedBytes))
    throw malformed("expected a data key under a branch key, its length was another");
  return {
    id,
    version: versionOf(key.ciphertext.subarray(BEFORE_VERSION_BYTES, BEFORE_VERSION_BYTES + VERSION_BYTES)),
  };
}

/** RFC 9562 §4, §5.4: versions of branch keys are random UUIDs. */
function versionOf(bytes: Uint8Array): string {
  const uuid = toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  if (!/^.{14}4.{4}[89ab]/.test(uuid)) throw malformed("expected a UUID of version 4 for a branch key, it was not");
  return uuid;
}
