/** UpdateKeyDescription (API_UpdateKeyDescription). */
import { z } from "zod";
import { defineOperation } from "../operation.js";
import { description, keyId } from "../schema.js";
import { assertNotPendingDeletion, demandOn, keyByIdOf } from "./key-access.js";

export const updateKeyDescription = defineOperation({
  name: "UpdateKeyDescription",
  readOnly: false,
  input: z.object({ KeyId: keyId, Description: description }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "UpdateKeyDescription")],
  perform: ({ input, keys }, key) => {
    assertNotPendingDeletion(key);
    keys.put({ ...key, description: input.Description });
    return {};
  },
});
