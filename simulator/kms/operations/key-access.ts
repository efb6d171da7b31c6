/** What the operations on one key have in common: finding it, the conditions that it brings, and whether it may be used. */
import { toHex } from "../../../shared/bytes.js";
import { AwsError } from "../../errors.js";
import type { EncryptionContext } from "../encryption-context.js";
import type { KeyUsage } from "../key-specs.js";
import type { KeyMaterial, KmsKey } from "../keys.js";
import { keyIdBytes, resourceOf } from "../keys.js";
import type { Call, Conditions, Demand } from "../operation.js";

/** The key that the request names. @throws AwsError NotFoundException */
export const keyOf = (call: Call<{ readonly KeyId: string }>): KmsKey =>
  call.keys.resolve(call.input.KeyId, call.principal.accountId);

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
  yield ["kms:KeyOrigin", ["AWS_KMS"]];
  yield ["kms:MultiRegion", ["false"]];
  yield ["kms:ResourceAliases", call.keys.aliasesOf(key)];
  for (const [tag, value] of key.tags) yield [`aws:ResourceTag/${tag}`, [value]];
  const alias = name?.replace(/^arn:.*:(?=alias\/)/, "");
  if (alias?.startsWith("alias/")) yield ["kms:RequestAlias", [alias]];
}

/** `kms:EncryptionContext:*` and `kms:EncryptionContextKeys`. */
export function* contextConditions(context: EncryptionContext = new Map()): Conditions {
  for (const [name, value] of context) yield [`kms:EncryptionContext:${name}`, [value]];
  if (context.size > 0) yield ["kms:EncryptionContextKeys", [...context.keys()]];
}

/** @throws AwsError DisabledException, InvalidKeyUsageException */
export function assertUsable(key: KmsKey, operation: string, usage: KeyUsage): void {
  if (!key.enabled) throw new AwsError("DisabledException", `${key.arn} is disabled.`);
  if (key.keyUsage !== usage) {
    throw new AwsError(
      "InvalidKeyUsageException",
      `${key.arn} key usage is ${key.keyUsage} which is not valid for ${operation}.`,
    );
  }
}

type SymmetricMaterial = Extract<KeyMaterial, { kind: "symmetric" }>;

/** The material of a symmetric encryption key. @throws AwsError DisabledException, InvalidKeyUsageException */
export function symmetricMaterial(key: KmsKey, operation: string): SymmetricMaterial {
  assertUsable(key, operation, "ENCRYPT_DECRYPT");
  if (key.material.kind === "symmetric") return key.material;
  throw new AwsError(
    "InvalidKeyUsageException",
    `${key.arn} key spec is ${key.keySpec} which is not valid for ${operation}.`,
  );
}

/** The 16 bytes by which ciphertexts name a key material. */
const materialIdBytes = (material: SymmetricMaterial): Uint8Array => Buffer.from(material.id, "hex").subarray(0, 16);

/** How a ciphertext names this key and material. */
export const blobKeyOf = (key: KmsKey, material: SymmetricMaterial) => ({
  keyId: keyIdBytes(key.keyId),
  materialId: materialIdBytes(material),
});

/** Whether a ciphertext was made with this very material. */
export const isMaterialOf = (material: SymmetricMaterial, materialId: Uint8Array): boolean =>
  toHex(materialIdBytes(material)) === toHex(materialId);
