/** What the operations on one key have in common: finding it, the conditions that it brings, and whether it may be used. */
import { AwsError, unsupported } from "../../errors.js";
import type { EncryptionContext } from "../encryption-context.js";
import type { KeyOrigin, KmsKey, MultiRegionKeyType } from "../key.js";
import { currentMaterial, isPendingDeletion, keyIdBytes, resourceOf } from "../key.js";
import type { KeyMaterial, SymmetricMaterial } from "../key-material.js";
import { materialIdBytes } from "../key-material.js";
import type { KeyUsage } from "../key-specs.js";
import type { Call, Conditions, Demand } from "../operation.js";

/** The key that the request names. @throws AwsError NotFoundException */
export const keyOf = (call: Call<{ readonly KeyId: string }>): KmsKey =>
  call.keys.resolve(call.input.KeyId, call.principal.accountId);

/**
 * The same, of an operation that is not a use of the key: those take no aliases, whether there are such ones or not.
 * @throws AwsError InvalidArnException, NotFoundException
 */
export function keyByIdOf(call: Call<{ readonly KeyId: string }>): KmsKey {
  if (namesAlias(call.input.KeyId)) {
    throw new AwsError("InvalidArnException", "Key Aliases are not supported for this operation.");
  }
  return keyOf(call);
}

/** Whether an identifier of a key is the name or the ARN of an alias. */
export const namesAlias = (identifier: string): boolean => /^(arn:.*:)?alias\//.test(identifier);

/** The one permission of an operation on one key. */
export function demandOn(
  call: Call<{ readonly KeyId?: string | undefined }>,
  key: KmsKey,
  action: string,
  conditions: Conditions = [],
): Demand {
  return {
    action: `kms:${action}`,
    resource: resourceOf(key),
    conditions: [...keyConditions(call, key, call.input.KeyId), ...conditions],
  };
}

/** What a key brings by itself; `name` is what the request calls it. */
export function* keyConditions(call: Pick<Call<unknown>, "keys">, key: KmsKey, name: string | undefined): Conditions {
  yield ["kms:KeySpec", [key.keySpec]];
  yield ["kms:KeyUsage", [key.keyUsage]];
  yield ["kms:KeyOrigin", [key.origin]];
  yield* multiRegionConditions(key.multiRegionKeyType);
  yield ["kms:ResourceAliases", call.keys.aliasesOf(key)];
  for (const [tag, value] of key.tags) yield [`aws:ResourceTag/${tag}`, [value]];
  const alias = name?.replace(/^arn:.*:(?=alias\/)/, "");
  if (alias?.startsWith("alias/")) yield ["kms:RequestAlias", [alias]];
}

/** `kms:MultiRegion` and `kms:MultiRegionKeyType`. */
export function* multiRegionConditions(type: MultiRegionKeyType | undefined): Conditions {
  yield ["kms:MultiRegion", [String(type !== undefined)]];
  if (type !== undefined) yield ["kms:MultiRegionKeyType", [type]];
}

/** `kms:EncryptionContext:*` and `kms:EncryptionContextKeys`. */
export function* contextConditions(context: EncryptionContext = new Map()): Conditions {
  for (const [name, value] of context) yield [`kms:EncryptionContext:${name}`, [value]];
  if (context.size > 0) yield ["kms:EncryptionContextKeys", [...context.keys()]];
}

/**
 * Whether the key's state lets it be used (KMS Developer Guide, "Key states of AWS KMS keys").
 * @throws AwsError DisabledException, KMSInvalidStateException
 */
export function assertEnabled(key: KmsKey): void {
  if (key.state === "Disabled") throw new AwsError("DisabledException", `${key.arn} is disabled.`);
  assertNotPending(key);
}

/** Whether the key's state lets it be read, enabled and disabled. @throws AwsError KMSInvalidStateException */
export function assertNotPending(key: KmsKey): void {
  assertNotPendingDeletion(key);
  if (key.state === "PendingImport") throw new AwsError("KMSInvalidStateException", `${key.arn} is pending import.`);
}

/** Whether the key's state lets what belongs to it be changed. @throws AwsError KMSInvalidStateException */
export function assertNotPendingDeletion(key: KmsKey): void {
  if (isPendingDeletion(key)) throw new AwsError("KMSInvalidStateException", `${key.arn} is pending deletion.`);
}

/** @throws AwsError UnsupportedOperationException for a key of another origin */
export function assertOrigin({ arn, origin }: KmsKey, wanted: KeyOrigin): void {
  if (origin !== wanted) throw unsupported(`${arn} origin is ${origin} which is not valid for this operation.`);
}

/** The usage comes first: KMS tells of it whatever the state. @throws AwsError InvalidKeyUsageException, and as `assertEnabled` */
export function assertUsable(key: KmsKey, operation: string, usage: KeyUsage): void {
  if (key.keyUsage !== usage) {
    throw new AwsError(
      "InvalidKeyUsageException",
      `${key.arn} key usage is ${key.keyUsage} which is not valid for ${operation}.`,
    );
  }
  assertEnabled(key);
}

/** @throws AwsError InvalidKeyUsageException for an algorithm that is none of the key's */
export function assertAlgorithm<Algorithm extends string>(
  { keySpec }: KmsKey,
  algorithm: string,
  algorithms: readonly Algorithm[],
): asserts algorithm is Algorithm {
  if (algorithms.some((one) => one === algorithm)) return;
  throw new AwsError("InvalidKeyUsageException", `Algorithm ${algorithm} is incompatible with key spec ${keySpec}.`);
}

/** The key's material of that kind. @throws AwsError InvalidKeyUsageException if it is of another one */
export function materialOf<Kind extends KeyMaterial["kind"]>(key: KmsKey, kind: Kind, operation: string) {
  const material = currentMaterial(key);
  if (material?.kind === kind) return material as Extract<KeyMaterial, { kind: Kind }>;
  throw new AwsError(
    "InvalidKeyUsageException",
    `${key.arn} key spec is ${key.keySpec} which is not valid for ${operation}.`,
  );
}

/** How a ciphertext names this key and material. */
export const blobKeyOf = (key: KmsKey, material: SymmetricMaterial) => ({
  keyId: keyIdBytes(key.keyId),
  materialId: materialIdBytes(material),
});
