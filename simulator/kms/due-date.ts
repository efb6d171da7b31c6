/** When time next does something to a key; what it does is in key-lifecycle.ts. */
import type { KmsKey } from "./key.js";
import { isReplica } from "./key.js";

/** When time next changes the key; undefined if never. */
export function dueAt(key: KmsKey): Date | undefined {
  const dates = [key.deletionDate, rotationOf(key)?.nextDate, ...key.materials.map((record) => record.validTo)];
  return dates.filter((date) => date !== undefined).sort((a, b) => a.getTime() - b.getTime())[0];
}

/** Disabled keys keep their schedule and are not rotated; replicas are with their primary. */
export const rotationOf = (key: KmsKey) => (key.state === "Enabled" && !isReplica(key) ? key.rotation : undefined);
