/** GetPublicKey (API_GetPublicKey): the public part of a key pair, of a disabled key as well. */
import { z } from "zod";
import { AwsError } from "../../errors.js";
import { currentMaterial } from "../key.js";
import { encodePublicKey, isKeyPair } from "../key-pairs.js";
import { algorithmMembers } from "../key-specs.js";
import { defineOperation } from "../operation.js";
import { grantTokens, keyId } from "../schema.js";
import { assertNotPending, demandOn, keyOf } from "./key-access.js";

export const getPublicKey = defineOperation({
  name: "GetPublicKey",
  readOnly: true,
  input: z.object({ KeyId: keyId, GrantTokens: grantTokens }),
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "GetPublicKey")],
  perform: (_call, key) => {
    assertNotPending(key);
    const material = currentMaterial(key);
    if (!isKeyPair(material)) throw new AwsError("UnsupportedOperationException");
    return {
      KeyId: key.arn,
      PublicKey: encodePublicKey(material),
      CustomerMasterKeySpec: key.keySpec,
      KeySpec: key.keySpec,
      KeyUsage: key.keyUsage,
      ...algorithmMembers(key.keySpec, key.keyUsage),
    };
  },
});
