/** GetKeyLastUsage (API_GetKeyLastUsage): when and for what a key was last used, and since when that is known. */
import { z } from "zod";
import { defineOperation } from "../operation.js";
import { keyId } from "../schema.js";
import { demandOn, keyByIdOf } from "./key-access.js";

export const getKeyLastUsage = defineOperation({
  name: "GetKeyLastUsage",
  readOnly: true,
  input: z.object({ KeyId: keyId }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "GetKeyLastUsage")],
  perform: ({ regions: { keyUses } }, { keyId, arn, creationDate }) => ({
    KeyId: keyId,
    KeyLastUsage: keyUses.of(arn) ?? {},
    TrackingStartDate: new Date(Math.max(creationDate.getTime(), keyUses.trackedSince.getTime())),
    KeyCreationDate: creationDate,
  }),
});
