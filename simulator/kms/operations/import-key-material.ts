/**
 * ImportKeyMaterial (API_ImportKeyMaterial): material that was wrapped under the public key of an import token comes into the
 * key that the token was given for.
 */
import { z } from "zod";
import { wipe } from "../../../shared/bytes.js";
import { validationError } from "../../errors.js";
import { IMPORT_TYPES, withImported } from "../import/import-placement.js";
import type { ImportedMaterial } from "../import/imported-material.js";
import { importedMaterial } from "../import/imported-material.js";
import { unwrap } from "../import/wrapping.js";
import type { KmsKey } from "../key.js";
import { putShared } from "../multi-region.js";
import type { Call, Conditions } from "../operation.js";
import { defineOperation } from "../operation.js";
import { ciphertext, keyId, keyMaterialId, patterned, timestamp } from "../schema.js";
import { assertNotPendingDeletion, assertOrigin, demandOn, keyByIdOf } from "./key-access.js";

/** API_ImportKeyMaterial, "ValidTo". */
const MAX_VALIDITY_MS = 365 * 86_400_000;

const importKeyMaterialInput = z.object({
  KeyId: keyId,
  ImportToken: ciphertext,
  EncryptedKeyMaterial: ciphertext,
  ValidTo: timestamp.optional(),
  ExpirationModel: z.enum(["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"]).optional(),
  ImportType: z.enum(IMPORT_TYPES).optional(),
  KeyMaterialDescription: patterned("^[a-zA-Z0-9:/_\\s.-]+$", 0, 256).optional(),
  KeyMaterialId: keyMaterialId.optional(),
});

type ImportInput = z.infer<typeof importKeyMaterialInput>;

export const importKeyMaterial = defineOperation({
  name: "ImportKeyMaterial",
  readOnly: false,
  input: importKeyMaterialInput,
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "ImportKeyMaterial", expirationConditions(call.input))],
  perform: (call, key) => {
    assertOrigin(key, "EXTERNAL");
    assertNotPendingDeletion(key);
    assertExpiration(call.input, call.now);
    const imported = openMaterial(call, key);
    putShared(call.regions, withImported(key, imported, call.input));
    return { KeyId: key.arn, KeyMaterialId: key.keySpec === "SYMMETRIC_DEFAULT" ? imported.id : undefined };
  },
});

const modelOf = ({ ExpirationModel = "KEY_MATERIAL_EXPIRES" }: ImportInput) => ExpirationModel;

function* expirationConditions(input: ImportInput): Conditions {
  yield ["kms:ExpirationModel", [modelOf(input)]];
  if (input.ValidTo !== undefined) yield ["kms:ValidTo", [input.ValidTo.toISOString()]];
}

/** @throws AwsError ValidationException */
function assertExpiration(input: ImportInput, now: Date): void {
  const model = modelOf(input);
  const { ValidTo } = input;
  if (model === "KEY_MATERIAL_DOES_NOT_EXPIRE") {
    if (ValidTo === undefined) return;
    throw validationError(`A validTo date must not be set if the ExpirationModel is ${model}`);
  }
  if (ValidTo === undefined) {
    throw validationError(`A validTo date must be set if the ExpirationModel is ${model}`);
  }
  const remainingMs = ValidTo.getTime() - now.getTime();
  if (remainingMs <= 0 || remainingMs > MAX_VALIDITY_MS) {
    throw validationError("The validTo date must be in the future, and at most 365 days from now");
  }
}

/** @throws AwsError InvalidImportTokenException, ExpiredImportTokenException, ValidationException, InvalidCiphertextException, IncorrectKeyMaterialException */
function openMaterial({ input, regions, now }: Call<ImportInput>, key: KmsKey): ImportedMaterial {
  const { algorithm, privateKey } = regions.importTokens.open(input.ImportToken, key.arn, now);
  const bytes = unwrap(algorithm, privateKey, input.EncryptedKeyMaterial);
  try {
    return importedMaterial(key, bytes);
  } finally {
    wipe(bytes);
  }
}
