/**
 * EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus and RotateKeyOnDemand (API_EnableKeyRotation, …; KMS Developer
 * Guide, "Rotate AWS KMS keys"). Symmetric encryption keys alone are rotated, automatically those alone whose material KMS
 * makes; the keys of a multi-Region key are with their primary.
 */
import { z } from "zod";
import { AwsError, unsupported } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { isPendingDeletion, isReplica } from "../key.js";
import { pendingRecord, rotated } from "../material-record.js";
import { isEverywhere, putShared } from "../multi-region.js";
import { defineOperation } from "../operation.js";
import type { Regions } from "../regions.js";
import { scheduleFrom, withNewMaterial } from "../rotation.js";
import { keyId } from "../schema.js";
import { assertEnabled, assertOrigin, demandOn, keyByIdOf } from "./key-access.js";

const DEFAULT_PERIOD_IN_DAYS = 365;
/** KMS Developer Guide, "Resource quotas": on-demand rotations per key. */
const MAX_ON_DEMAND_ROTATIONS = 25;
/** How long before an automatic rotation none can be asked for (API_RotateKeyOnDemand, ConflictException). */
const CONFLICT_MS = 20 * 60_000;

export const enableKeyRotation = defineOperation({
  name: "EnableKeyRotation",
  readOnly: false,
  input: z.object({ KeyId: keyId, RotationPeriodInDays: z.int().min(90).max(2560).optional() }),
  subject: keyByIdOf,
  demands: (call, key) => [
    demandOn(call, key, "EnableKeyRotation", [["kms:RotationPeriodInDays", [String(periodOf(call.input))]]]),
  ],
  perform: ({ input, regions, now }, key) => {
    assertSchedulable(key);
    assertSymmetric(key);
    putShared(regions, { ...key, rotation: scheduleFrom(now, periodOf(input)) });
    return {};
  },
});

export const disableKeyRotation = defineOperation({
  name: "DisableKeyRotation",
  readOnly: false,
  input: z.object({ KeyId: keyId }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "DisableKeyRotation")],
  perform: ({ regions }, key) => {
    assertSchedulable(key);
    const { rotation: _, ...rest } = key;
    putShared(regions, rest);
    return {};
  },
});

export const getKeyRotationStatus = defineOperation({
  name: "GetKeyRotationStatus",
  readOnly: true,
  input: z.object({ KeyId: keyId }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "GetKeyRotationStatus")],
  perform: (_call, key) => {
    // Rotation of a key that is to go rests, until its deletion is cancelled.
    const rotation = isPendingDeletion(key) ? undefined : key.rotation;
    return {
      KeyId: key.arn,
      KeyRotationEnabled: rotation !== undefined,
      RotationPeriodInDays: rotation?.periodInDays,
      NextRotationDate: rotation?.nextDate,
    };
  },
});

/** The rotation is done when this answers: OnDemandRotationStartDate is never there to be seen. */
export const rotateKeyOnDemand = defineOperation({
  name: "RotateKeyOnDemand",
  readOnly: false,
  input: z.object({ KeyId: keyId }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "RotateKeyOnDemand")],
  perform: ({ regions, now }, key) => {
    assertEnabled(key);
    assertPrimary(key);
    assertSymmetric(key);
    assertRotationsLeft(key);
    assertNoConflict(key, now);
    putShared(regions, rotatedOnDemand(regions, key, now));
    return { KeyId: key.arn };
  },
});

const periodOf = ({ RotationPeriodInDays = DEFAULT_PERIOD_IN_DAYS }: { RotationPeriodInDays?: number | undefined }) =>
  RotationPeriodInDays;

/** @throws AwsError UnsupportedOperationException, DisabledException, KMSInvalidStateException */
function assertSchedulable(key: KmsKey): void {
  assertOrigin(key, "AWS_KMS");
  assertEnabled(key);
  assertPrimary(key);
}

/** @throws AwsError UnsupportedOperationException, which tells nothing more */
function assertSymmetric({ keySpec }: KmsKey): void {
  if (keySpec !== "SYMMETRIC_DEFAULT") throw unsupported("");
}

/** @throws AwsError UnsupportedOperationException for a replica */
function assertPrimary(key: KmsKey): void {
  if (isReplica(key)) throw unsupported(`${key.arn} is not a multi-region primary key.`);
}

/** @throws AwsError LimitExceededException */
function assertRotationsLeft({ arn, materials }: KmsKey): void {
  if (materials.filter(({ rotation }) => rotation?.type === "ON_DEMAND").length < MAX_ON_DEMAND_ROTATIONS) return;
  throw new AwsError(
    "LimitExceededException",
    `The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: ${arn}`,
  );
}

/** @throws AwsError ConflictException */
function assertNoConflict({ rotation }: KmsKey, now: Date): void {
  if (rotation === undefined || rotation.nextDate.getTime() - now.getTime() > CONFLICT_MS) return;
  throw new AwsError(
    "ConflictException",
    "An automatic rotation of this key is currently in progress or scheduled to begin within the next 20 minutes.",
  );
}

/** @throws AwsError KMSInvalidStateException */
function rotatedOnDemand(regions: Regions, key: KmsKey, now: Date): KmsKey {
  const rotation = { type: "ON_DEMAND", date: now } as const;
  if (key.origin === "AWS_KMS") return withNewMaterial(key, rotation);
  const pending = pendingRecord(key.materials);
  if (pending === undefined || !isEverywhere(regions, key, pending)) {
    throw new AwsError(
      "KMSInvalidStateException",
      `No available key material pending rotation for the key: ${key.arn}.`,
    );
  }
  return { ...key, materials: rotated(key.materials, pending.id, rotation) };
}
