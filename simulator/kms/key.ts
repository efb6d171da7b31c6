/** A KMS key as it stands at one moment. A change makes a new record: what an operation has read cannot change under it. */
import { randomUUID } from "node:crypto";
import { equalBytes } from "../../shared/bytes.js";
import type { Resource } from "../iam/authorization.js";
import type { KeyPolicy } from "../iam/policy/compile.js";
import type { KeyMaterial, SymmetricMaterial } from "./key-material.js";
import { materialIdBytes } from "./key-material.js";
import type { KeySpec, KeyUsage } from "./key-specs.js";
import type { MaterialRecords } from "./material-record.js";
import { currentRecord } from "./material-record.js";

/** Key states (KMS Developer Guide, "Key states of AWS KMS keys") that keys of this KMS come into. */
export type KeyState = "Enabled" | "Disabled" | "PendingDeletion" | "PendingReplicaDeletion" | "PendingImport";

/** Where its material is from: KMS itself, or whoever imports it. */
export type KeyOrigin = "AWS_KMS" | "EXTERNAL";

/** Of a key of a multi-Region key (API_MultiRegionConfiguration). */
export type MultiRegionKeyType = "PRIMARY" | "REPLICA";

/** Automatic rotation, while it is enabled. */
export interface RotationSchedule {
  readonly periodInDays: number;
  readonly nextDate: Date;
}

export interface KmsKey {
  readonly keyId: string;
  readonly arn: string;
  readonly accountId: string;
  readonly creationDate: Date;
  readonly description: string;
  readonly keySpec: KeySpec;
  readonly keyUsage: KeyUsage;
  readonly origin: KeyOrigin;
  readonly state: KeyState;
  /** When a key that is pending deletion goes. */
  readonly deletionDate?: Date;
  /** How long the waiting period of a primary will be that is pending the deletion of its replicas. */
  readonly pendingWindowInDays?: number;
  /** Oldest first. Only symmetric keys come to have more than one. */
  readonly materials: MaterialRecords;
  /** Left out while automatic rotation is not enabled. */
  readonly rotation?: RotationSchedule;
  /** Left out for a single-Region key. */
  readonly multiRegionKeyType?: MultiRegionKeyType;
  readonly tags: ReadonlyMap<string, string>;
  readonly policy: KeyPolicy;
}

export const newKeyId = (multiRegion = false): string =>
  multiRegion ? `mrk-${randomUUID().replaceAll("-", "")}` : randomUUID();

/** What a key id looks like, of a single-Region key and of a multi-Region key. */
export const KEY_ID = /^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/** The 16 bytes that a key id stands for. */
export const keyIdBytes = (keyId: string): Uint8Array => Buffer.from(keyId.replace(/^mrk-|-/g, ""), "hex");

/** The key as the policy evaluator sees it. */
export const resourceOf = (key: KmsKey): Resource => ({
  arn: key.arn,
  accountId: key.accountId,
  keyPolicy: key.policy,
});

/** Whether the key is on its way out. */
export const isPendingDeletion = ({ state }: KmsKey): boolean =>
  state === "PendingDeletion" || state === "PendingReplicaDeletion";

/** What the key encrypts, signs and derives with. Undefined for one whose material has still, or again, to be imported. */
export const currentMaterial = (key: KmsKey): KeyMaterial | undefined => currentRecord(key.materials)?.material;

/** The material that a ciphertext names, the current or an older one. */
export const findMaterial = (key: KmsKey, idBytes: Uint8Array): SymmetricMaterial | undefined =>
  key.materials
    .map(({ material }) => material)
    .filter((material): material is SymmetricMaterial => material?.kind === "symmetric")
    .find((material) => equalBytes(materialIdBytes(material), idBytes));

export const isReplica = (key: KmsKey): boolean => key.multiRegionKeyType === "REPLICA";
