/** Rotation of key material (KMS Developer Guide, "Rotate AWS KMS keys"): the automatic one's schedule, and what it does. */
import type { KmsKey, RotationSchedule } from "./key.js";
import { isReplica } from "./key.js";
import { newSymmetricMaterial } from "./key-material.js";
import type { Rotation } from "./material-record.js";
import { pendingMaterial, rotated } from "./material-record.js";

const DAY_MS = 86_400_000;

export const scheduleFrom = (date: Date, periodInDays: number): RotationSchedule => ({
  periodInDays,
  nextDate: new Date(date.getTime() + periodInDays * DAY_MS),
});

/** The key with new material of KMS's own as the current one. */
export function withNewMaterial(key: KmsKey, rotation: Rotation): KmsKey {
  const material = newSymmetricMaterial();
  const materials = rotated([...key.materials, pendingMaterial(material.id, material)], material.id, rotation);
  return { ...key, materials };
}

/** The key after an automatic rotation. The next one is a period after the date at which this one was due. */
export function automaticallyRotated(key: KmsKey, { nextDate, periodInDays }: RotationSchedule): KmsKey {
  const rotation = scheduleFrom(nextDate, periodInDays);
  return { ...withNewMaterial(key, { type: "AUTOMATIC", date: nextDate }), rotation };
}

/**
 * An enabled key again, after being disabled: a rotation that it has missed comes at once, one only. A replica is rotated with
 * its primary, whose schedule it has.
 */
export function resumed(key: KmsKey, now: Date): KmsKey {
  if (key.rotation === undefined || key.rotation.nextDate > now || isReplica(key)) return key;
  return { ...key, rotation: { ...key.rotation, nextDate: now } };
}
