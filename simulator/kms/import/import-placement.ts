/**
 * Where imported material goes in a key (API_ImportKeyMaterial, "ImportType"): in place of nothing as its first, back to where
 * it has been before, or, in a symmetric key, behind the others to wait for a rotation.
 */
import { AwsError, unsupported, validationError } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { isReplica } from "../key.js";
import type { MaterialRecord, MaterialRecords } from "../material-record.js";
import { firstMaterial, isComplete, pendingMaterial, pendingRecord } from "../material-record.js";
import type { ImportedMaterial } from "./imported-material.js";
import { incorrect } from "./imported-material.js";

export const IMPORT_TYPES = ["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"] as const;

/** What a request says of the material beside its bytes. */
export interface ImportTerms {
  readonly ImportType?: (typeof IMPORT_TYPES)[number] | undefined;
  readonly KeyMaterialId?: string | undefined;
  readonly KeyMaterialDescription?: string | undefined;
  readonly ValidTo?: Date | undefined;
}

/**
 * The key with the material in it, enabled if it was waiting for no other.
 * @throws AwsError IncorrectKeyMaterialException, KMSInvalidStateException, UnsupportedOperationException, ValidationException
 */
export function withImported(key: KmsKey, imported: ImportedMaterial, terms: ImportTerms): KmsKey {
  assertTerms(key, terms);
  const type = terms.ImportType ?? (key.materials.length === 0 ? "NEW_KEY_MATERIAL" : "EXISTING_KEY_MATERIAL");
  const records = type === "NEW_KEY_MATERIAL" ? withNew(key, imported) : withExisting(key, imported, terms);
  const materials = records.map((record) => (record.id === imported.id ? onTerms(record, terms) : record));
  return { ...key, materials, state: key.state === "PendingImport" && isComplete(materials) ? "Enabled" : key.state };
}

function assertTerms({ keySpec }: KmsKey, terms: ImportTerms): void {
  const { ImportType, KeyMaterialId, KeyMaterialDescription } = terms;
  if (ImportType === "NEW_KEY_MATERIAL" && KeyMaterialId !== undefined) {
    throw validationError("KeyMaterialId cannot be specified when ImportType is NEW_KEY_MATERIAL.");
  }
  if (keySpec === "SYMMETRIC_DEFAULT") return;
  if ((ImportType ?? KeyMaterialId ?? KeyMaterialDescription) !== undefined) {
    throw validationError(
      "ImportType, KeyMaterialId and KeyMaterialDescription can only be specified for symmetric encryption keys.",
    );
  }
}

function withNew(key: KmsKey, { id, material }: ImportedMaterial): MaterialRecords {
  if (isReplica(key)) throw unsupported(`New key material cannot be imported into the replica key ${key.arn}.`);
  if (key.materials.some((record) => record.id === id)) {
    throw incorrect(`The key material (id: ${id}) is already associated with the KMS key ${key.arn}.`);
  }
  if (key.materials.length === 0) return [firstMaterial(id, material)];
  const pending = pendingRecord(key.materials);
  if (pending === undefined) return [...key.materials, pendingMaterial(id, material)];
  throw new AwsError(
    "KMSInvalidStateException",
    `New key material (id: ${id}) cannot be imported into KMS key ${key.arn}, because another key material (id: ${pending.id}) is pending rotation.`,
  );
}

function withExisting(key: KmsKey, { id, material }: ImportedMaterial, { KeyMaterialId = id }: ImportTerms) {
  if (KeyMaterialId !== id || !key.materials.some((record) => record.id === id)) {
    throw incorrect(`The key material is not the same that was imported into the KMS key ${key.arn} before.`);
  }
  return key.materials.map((record) => (record.id === id ? { ...record, material } : record));
}

/** The expiration of an import before ends; its description stays, if there is no new one. */
function onTerms({ validTo: _, ...record }: MaterialRecord, terms: ImportTerms): MaterialRecord {
  const { ValidTo: validTo, KeyMaterialDescription: description } = terms;
  return { ...record, ...(validTo && { validTo }), ...(description !== undefined && { description }) };
}
