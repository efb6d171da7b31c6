/**
 * ScheduleKeyDeletion and CancelKeyDeletion (API_ScheduleKeyDeletion, API_CancelKeyDeletion). Until its date the key can be
 * looked at and saved, and nothing else; then KeyStore.advance lets it go.
 */
import { z } from "zod";
import { AwsError, validationError } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { currentMaterial } from "../key.js";
import { defineOperation } from "../operation.js";
import { keyId } from "../schema.js";
import { assertNotPendingDeletion, demandOn, keyByIdOf } from "./key-access.js";

const [MIN_DAYS, MAX_DAYS] = [7, 30];
const DAY_MS = 86_400_000;

export const scheduleKeyDeletion = defineOperation({
  name: "ScheduleKeyDeletion",
  readOnly: false,
  input: z.object({ KeyId: keyId, PendingWindowInDays: z.int().min(1).max(365).optional() }),
  subject: keyByIdOf,
  demands: (call, key) => [
    demandOn(call, key, "ScheduleKeyDeletion", [
      ["kms:ScheduleKeyDeletionPendingWindowInDays", [String(windowOf(call.input))]],
    ]),
  ],
  perform: ({ input, keys, now }, key) => {
    const PendingWindowInDays = windowOf(input);
    if (PendingWindowInDays < MIN_DAYS || PendingWindowInDays > MAX_DAYS) {
      throw validationError(`PendingWindowInDays must be between ${MIN_DAYS} and ${MAX_DAYS}`);
    }
    assertNotPendingDeletion(key);
    const deletionDate = new Date(now.getTime() + PendingWindowInDays * DAY_MS);
    keys.put({ ...key, state: "PendingDeletion", deletionDate });
    return { KeyId: key.arn, DeletionDate: deletionDate, KeyState: "PendingDeletion", PendingWindowInDays };
  },
});

export const cancelKeyDeletion = defineOperation({
  name: "CancelKeyDeletion",
  readOnly: false,
  input: z.object({ KeyId: keyId }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "CancelKeyDeletion")],
  perform: ({ keys }, key) => {
    if (key.state !== "PendingDeletion") {
      throw new AwsError("KMSInvalidStateException", `${key.arn} is not pending deletion.`);
    }
    keys.put(saved(key));
    return { KeyId: key.arn };
  },
});

const windowOf = ({ PendingWindowInDays = MAX_DAYS }: { readonly PendingWindowInDays?: number | undefined }): number =>
  PendingWindowInDays;

/** The key as it is when its deletion is cancelled: without a date, disabled, or waiting for its material again. */
function saved({ deletionDate: _, ...key }: KmsKey): KmsKey {
  return { ...key, state: currentMaterial(key) === undefined ? "PendingImport" : "Disabled" };
}
