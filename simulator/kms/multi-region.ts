/**
 * Multi-Region keys (KMS Developer Guide, "Multi-Region keys in AWS KMS"): one primary and its replicas, a KMS key each, with
 * one key id. Material, spec, usage, origin and rotation are the primary's in all of them; policy, tags, aliases, description
 * and state are each one's own. Material that is imported has to be imported into each.
 */
import { parseArn } from "../iam/arn.js";
import type { Answer } from "./answer.js";
import type { KmsKey } from "./key.js";
import { isReplica } from "./key.js";
import type { MaterialRecord, MaterialRecords } from "./material-record.js";
import { emptied, filledFrom } from "./material-record.js";
import type { Regions } from "./regions.js";

export const replicasOf = (regions: Regions, key: KmsKey): readonly KmsKey[] => regions.related(key).filter(isReplica);

/** Puts a key; what its replicas share with a primary, they get with it. */
export function putShared(regions: Regions, key: KmsKey): void {
  regions.put(key);
  if (key.multiRegionKeyType !== "PRIMARY") return;
  for (const replica of replicasOf(regions, key)) regions.put(synchronised(replica, key));
}

/** The replica with the primary's shared properties. */
function synchronised({ rotation: _, ...replica }: KmsKey, primary: KmsKey): KmsKey {
  return {
    ...replica,
    materials: sharedMaterials(primary, replica.materials),
    ...(primary.rotation === undefined ? {} : { rotation: primary.rotation }),
  };
}

/** The materials of a replica that has had `own` so far: what was imported into the primary is not thereby in the replica. */
export const sharedMaterials = (primary: KmsKey, own: MaterialRecords = []): MaterialRecords =>
  primary.origin === "AWS_KMS"
    ? primary.materials
    : primary.materials.map((record) => filledFrom(record, own.find(({ id }) => id === record.id) ?? emptied(record)));

/**
 * API_RotationsListEntry, "KeyMaterialState": material that is to become a primary's has to be in every replica first.
 */
export function materialStateOf(regions: Regions, key: KmsKey, record: MaterialRecord): string {
  if (record.state !== "PENDING_ROTATION" || record.material === undefined) return record.state;
  return isEverywhere(regions, key, record) ? record.state : "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";
}

/** Whether the material is in the key's replicas. */
export const isEverywhere = (regions: Regions, key: KmsKey, { id }: MaterialRecord): boolean =>
  isReplica(key) ||
  replicasOf(regions, key).every(({ materials }) =>
    materials.some((record) => record.id === id && record.material !== undefined),
  );

/** `MultiRegion` and `MultiRegionConfiguration` of API_KeyMetadata. */
export function multiRegionMembers(regions: Regions, key: KmsKey): Answer {
  if (key.multiRegionKeyType === undefined) return { MultiRegion: false };
  const keys = [key, ...regions.related(key)];
  const primary = keys.find((one) => !isReplica(one));
  return {
    MultiRegion: true,
    MultiRegionConfiguration: {
      MultiRegionKeyType: key.multiRegionKeyType,
      PrimaryKey: primary && placeOf(primary),
      ReplicaKeys: keys.filter(isReplica).map(placeOf),
    },
  };
}

/** API_MultiRegionKey. */
const placeOf = ({ arn }: KmsKey): Answer => ({ Arn: arn, Region: regionOf(arn) });

export const regionOf = (arn: string): string => parseArn(arn)?.region ?? "";
