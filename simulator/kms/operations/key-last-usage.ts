/** GetKeyLastUsage (API_GetKeyLastUsage): not offered, for this KMS keeps no account of uses beside the audit log. */
import { z } from "zod";
import { unsupported } from "../../errors.js";
import { defineOperation } from "../operation.js";
import { keyId } from "../schema.js";
import { demandOn, keyByIdOf } from "./key-access.js";

export const getKeyLastUsage = defineOperation({
  name: "GetKeyLastUsage",
  readOnly: true,
  input: z.object({ KeyId: keyId }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "GetKeyLastUsage")],
  perform: () => {
    throw unsupported("When a key was last used is not kept by this simulated KMS.");
  },
});
