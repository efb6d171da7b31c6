/**
 * The key materials of a KMS key, from the first one on (API_RotationsListEntry). Keys that KMS makes have all of theirs
 * always; imported material may be taken away, and its record remembers which it was.
 */
import type { KeyMaterial } from "./key-material.js";

/**
 * What a material is used for: the current one for everything, non-current ones to decrypt. One that is pending rotation is
 * imported, and not used yet.
 */
export type MaterialState = "CURRENT" | "NON_CURRENT" | "PENDING_ROTATION";

/** How a material became the current one; the first always was. */
export interface Rotation {
  readonly type: "AUTOMATIC" | "ON_DEMAND";
  readonly date: Date;
}

export interface MaterialRecord {
  /** KMS's KeyMaterialId. Keys that are not symmetric never tell it; if imported, they know their material again by it. */
  readonly id: string;
  readonly state: MaterialState;
  /** Left out while it has to be imported. */
  readonly material?: KeyMaterial;
  readonly rotation?: Rotation;
  /** When imported material expires. Left out if it does not. */
  readonly validTo?: Date;
  /** What whoever imported it calls it. */
  readonly description?: string;
}

export type MaterialRecords = readonly MaterialRecord[];

/** The first material of a key. */
export const firstMaterial = (id: string, material: KeyMaterial): MaterialRecord => ({
  id,
  state: "CURRENT",
  material,
});

/** A further material, for a later rotation. */
export const pendingMaterial = (id: string, material: KeyMaterial): MaterialRecord => ({
  ...{ id, state: "PENDING_ROTATION", material },
});

/** Makes the material of that id the current one. */
export const rotated = (records: MaterialRecords, id: string, rotation: Rotation): MaterialRecords =>
  records.map((record) => {
    if (record.id === id) return { ...record, state: "CURRENT", rotation };
    return record.state === "CURRENT" ? { ...record, state: "NON_CURRENT" } : record;
  });

export const currentRecord = (records: MaterialRecords): MaterialRecord | undefined =>
  records.find((record) => record.state === "CURRENT");

export const pendingRecord = (records: MaterialRecords): MaterialRecord | undefined =>
  records.find((record) => record.state === "PENDING_ROTATION");

/** The materials that a key has for good. */
export const permanentRecords = (records: MaterialRecords): MaterialRecords =>
  records.filter((record) => record.state !== "PENDING_ROTATION");

/** Whether the key has all that it needs to be used: one material at least, and every one that it has for good. */
export function isComplete(records: MaterialRecords): boolean {
  const permanent = permanentRecords(records);
  return permanent.length > 0 && permanent.every((record) => record.material !== undefined);
}

/** API_KeyMetadata, "ExpirationModel". */
export const expirationModelOf = (validTo: Date | undefined) =>
  validTo === undefined ? "KEY_MATERIAL_DOES_NOT_EXPIRE" : "KEY_MATERIAL_EXPIRES";

/** Takes imported material away; its record stays. */
export const withoutImport = (records: MaterialRecords, id: string): MaterialRecords =>
  records.map((record) => (record.id === id ? emptied(record) : record));

/** The same, and its record with it if the key does not have it for good. */
export const withoutMaterial = (records: MaterialRecords, id: string): MaterialRecords =>
  withoutImport(records, id).filter((record) => record.id !== id || record.state !== "PENDING_ROTATION");

/** The record without what belongs to one import. */
export const emptied = ({ material: _material, validTo: _validTo, ...record }: MaterialRecord): MaterialRecord =>
  record;

/** The record with what the same record elsewhere was imported with. */
export const filledFrom = (
  record: MaterialRecord,
  { material, validTo, description }: MaterialRecord,
): MaterialRecord => ({
  ...emptied(record),
  ...(material === undefined ? {} : { material }),
  ...(validTo === undefined ? {} : { validTo }),
  ...(description === undefined ? {} : { description }),
});
