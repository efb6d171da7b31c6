/** GenerateMac and VerifyMac (API_GenerateMac, API_VerifyMac): HMAC (RFC 2104) with the key's one algorithm. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { AwsError } from "../../errors.js";
import type { KmsKey } from "../key.js";
import type { MacAlgorithm } from "../key-specs.js";
import { MAC_ALGORITHMS, macAlgorithmsOf } from "../key-specs.js";
import type { Call } from "../operation.js";
import { defineOperation } from "../operation.js";
import { blob, dryRun, grantTokens, keyId, message } from "../schema.js";
import { assertAlgorithm, assertUsable, demandOn, keyOf, materialOf } from "./key-access.js";

const members = {
  KeyId: keyId,
  Message: message,
  MacAlgorithm: z.enum(MAC_ALGORITHMS),
  GrantTokens: grantTokens,
  DryRun: dryRun,
};
const generateInput = z.object(members);
const verifyInput = z.object({ ...members, Mac: blob(1, 6144) });

type MacCall = Call<z.infer<typeof generateInput>>;

export const generateMac = defineOperation({
  name: "GenerateMac",
  readOnly: true,
  input: generateInput,
  subject: keyOf,
  demands: (call, key) => [macDemand(call, key, "GenerateMac")],
  perform: ({ input }, key) => ({
    Mac: macOf(key, input.MacAlgorithm, input.Message, "GenerateMac"),
    MacAlgorithm: input.MacAlgorithm,
    KeyId: key.arn,
  }),
});

export const verifyMac = defineOperation({
  name: "VerifyMac",
  readOnly: true,
  input: verifyInput,
  subject: keyOf,
  demands: (call, key) => [macDemand(call, key, "VerifyMac")],
  perform: ({ input }, key) => {
    const expected = macOf(key, input.MacAlgorithm, input.Message, "VerifyMac");
    if (expected.length !== input.Mac.length || !timingSafeEqual(expected, input.Mac)) {
      throw new AwsError("KMSInvalidMacException");
    }
    return { KeyId: key.arn, MacValid: true, MacAlgorithm: input.MacAlgorithm };
  },
});

const macDemand = (call: MacCall, key: KmsKey, action: string) =>
  demandOn(call, key, action, [["kms:MacAlgorithm", [call.input.MacAlgorithm]]]);

/** @throws AwsError DisabledException, InvalidKeyUsageException */
function macOf(key: KmsKey, algorithm: MacAlgorithm, message: Uint8Array, operation: string): Uint8Array {
  assertUsable(key, operation, "GENERATE_VERIFY_MAC");
  const { secret } = materialOf(key, "mac", operation);
  assertAlgorithm(key, algorithm, macAlgorithmsOf(key.keySpec));
  return createHmac(algorithm.replace("HMAC_SHA_", "sha"), secret).update(message).digest();
}
