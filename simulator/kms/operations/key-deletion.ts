/**
 * ScheduleKeyDeletion and CancelKeyDeletion (API_ScheduleKeyDeletion, API_CancelKeyDeletion). Until its date the key can be
 * looked at and saved, and nothing else; then time takes it.
 */
import { z } from "zod";
import { AwsError, validationError } from "../../errors.js";
import { isPendingDeletion } from "../key.js";
import { saved, scheduledForDeletion } from "../key-lifecycle.js";
import { defineOperation } from "../operation.js";
import { keyId } from "../schema.js";
import { assertNotPendingDeletion, demandOn, keyByIdOf } from "./key-access.js";

const [MIN_DAYS, MAX_DAYS] = [7, 30];

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
  perform: ({ input, regions, now }, key) => {
    const PendingWindowInDays = windowOf(input);
    if (PendingWindowInDays < MIN_DAYS || PendingWindowInDays > MAX_DAYS) {
      throw validationError(`PendingWindowInDays must be between ${MIN_DAYS} and ${MAX_DAYS}`);
    }
    assertNotPendingDeletion(key);
    const scheduled = scheduledForDeletion(regions, key, PendingWindowInDays, now);
    regions.put(scheduled);
    const { arn, deletionDate, state } = scheduled;
    return { KeyId: arn, DeletionDate: deletionDate, KeyState: state, PendingWindowInDays };
  },
});

export const cancelKeyDeletion = defineOperation({
  name: "CancelKeyDeletion",
  readOnly: false,
  input: z.object({ KeyId: keyId }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "CancelKeyDeletion")],
  perform: ({ keys }, key) => {
    if (!isPendingDeletion(key)) {
      throw new AwsError("KMSInvalidStateException", `${key.arn} is not pending deletion.`);
    }
    keys.put(saved(key));
    return { KeyId: key.arn };
  },
});

const windowOf = ({ PendingWindowInDays = MAX_DAYS }: { readonly PendingWindowInDays?: number | undefined }): number =>
  PendingWindowInDays;
