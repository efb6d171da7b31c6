/**
 * What time does to keys by itself, whoever calls: imported material expires, material is rotated, and keys whose waiting
 * period is over go. What is due in a key happens at its date, in the order of the dates, however late somebody looks.
 */
import type { ServiceEvent } from "../cloudtrail/service-events.js";
import { dueAt, rotationOf } from "./due-date.js";
import type { KmsKey } from "./key.js";
import { isPendingDeletion, isReplica } from "./key.js";
import { isComplete, withoutImport, withoutMaterial } from "./material-record.js";
import { putShared, replicasOf } from "./multi-region.js";
import type { Regions } from "./regions.js";
import { automaticallyRotated } from "./rotation.js";

const DAY_MS = 86_400_000;

/** One change of a key, and what CloudTrail is told of it. */
interface Step {
  /** The key after it; undefined for one that is gone. */
  readonly changed: KmsKey | undefined;
  readonly event: ServiceEvent;
}

/** The one change that is due at `date`, as `dueAt` says it. */
function step(key: KmsKey, date: Date): Step | undefined {
  const { arn, accountId, keyId } = key;
  const event = (eventName: string, details?: Readonly<Record<string, string>>): ServiceEvent => ({
    ...{ eventName, date, arn, accountId },
    ...(details && { serviceEventDetails: { ...details, keyId } }),
  });
  if (key.deletionDate !== undefined && key.deletionDate <= date)
    return { changed: undefined, event: event("DeleteKey") };
  const expired = key.materials.find(({ validTo }) => validTo !== undefined && validTo <= date);
  if (expired !== undefined) {
    const changed = withMaterialGone(key, expired.id);
    return { changed, event: event("DeleteExpiredKeyMaterial", { keyMaterialId: expired.id }) };
  }
  const rotation = rotationOf(key);
  if (rotation === undefined) return undefined;
  return { changed: automaticallyRotated(key, rotation), event: event("RotateKey", { rotationType: "AUTOMATIC" }) };
}

/** The key without an imported material: it waits for it, unless the key was not using it, or waits for its end. */
export function withMaterialGone(key: KmsKey, id: string): KmsKey {
  const record = key.materials.find((one) => one.id === id);
  const materials = isReplica(key) ? withoutImport(key.materials, id) : withoutMaterial(key.materials, id);
  const unaffected = record?.state === "PENDING_ROTATION" || isPendingDeletion(key);
  return unaffected ? { ...key, materials } : { ...key, materials, state: "PendingImport" };
}

/** Lets happen what was to happen in any Region until `now`, and says what has. */
export function advance(regions: Regions, now: Date): readonly ServiceEvent[] {
  const events: ServiceEvent[] = [];
  for (let arns = regions.takeDue(now); arns.length > 0; arns = regions.takeDue(now)) {
    for (const arn of arns) events.push(...pass(regions, arn, now));
  }
  return events;
}

/** Puts the key's next state, or takes it away. */
function pass(regions: Regions, arn: string, now: Date): readonly ServiceEvent[] {
  const key = regions.find(arn);
  const date = key === undefined ? undefined : dueAt(key);
  if (key === undefined || date === undefined || date > now) return []; // a related key's change came first
  const due = step(key, date);
  if (due === undefined) return [];
  if (due.changed === undefined) end(regions, key, date);
  else putShared(regions, due.changed);
  return [due.event];
}

/** A key goes. If a primary was waiting for this, its own waiting period begins. */
function end(regions: Regions, key: KmsKey, date: Date): void {
  regions.remove(key);
  for (const related of regions.related(key)) {
    if (related.pendingWindowInDays === undefined) continue;
    regions.put(scheduledForDeletion(regions, related, related.pendingWindowInDays, date));
  }
}

/** The key with its deletion scheduled. A primary's waiting period begins when it has no replicas any more. */
export function scheduledForDeletion(regions: Regions, key: KmsKey, days: number, now: Date): KmsKey {
  const { pendingWindowInDays: _, ...rest } = key;
  if (key.multiRegionKeyType === "PRIMARY" && replicasOf(regions, key).length > 0) {
    return { ...rest, state: "PendingReplicaDeletion", pendingWindowInDays: days };
  }
  return { ...rest, state: "PendingDeletion", deletionDate: new Date(now.getTime() + days * DAY_MS) };
}

/** The key with its deletion cancelled: disabled, or waiting for its material again. */
export function saved({ deletionDate: _date, pendingWindowInDays: _window, ...key }: KmsKey): KmsKey {
  return { ...key, state: isComplete(key.materials) ? "Disabled" : "PendingImport" };
}
