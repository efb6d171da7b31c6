/** EnableKey and DisableKey (API_EnableKey, API_DisableKey). To be what it is already is no error for a key. */
import { z } from "zod";
import { putShared } from "../multi-region.js";
import { defineOperation } from "../operation.js";
import { resumed } from "../rotation.js";
import { keyId } from "../schema.js";
import { assertNotPending, demandOn, keyByIdOf } from "./key-access.js";

export const enableKey = switchKey("EnableKey", "Enabled");
export const disableKey = switchKey("DisableKey", "Disabled");

function switchKey(name: "EnableKey" | "DisableKey", state: "Enabled" | "Disabled") {
  return defineOperation({
    name,
    readOnly: false,
    input: z.object({ KeyId: keyId }),
    subject: keyByIdOf,
    demands: (call, key) => [demandOn(call, key, name)],
    perform: ({ regions, now }, key) => {
      assertNotPending(key);
      putShared(regions, state === "Enabled" ? resumed({ ...key, state }, now) : { ...key, state });
      return {};
    },
  });
}
