/** GetParametersForImport (API_GetParametersForImport): a wrapping key pair per call, and the token that its use needs. */
import { z } from "zod";
import { unsupported, validationError } from "../../errors.js";
import type { WrappingAlgorithm, WrappingKeySpec } from "../import/wrapping.js";
import { canWrap, WRAPPING_ALGORITHMS, WRAPPING_KEY_SPECS } from "../import/wrapping.js";
import type { KmsKey } from "../key.js";
import { newKeyObjects } from "../key-pairs.js";
import { defineOperation } from "../operation.js";
import { keyId } from "../schema.js";
import { assertNotPendingDeletion, assertOrigin, demandOn, keyByIdOf } from "./key-access.js";

const LIFETIME_MS = 24 * 3_600_000;

const importParametersInput = z.object({
  KeyId: keyId,
  WrappingAlgorithm: z.enum(WRAPPING_ALGORITHMS),
  WrappingKeySpec: z.enum(WRAPPING_KEY_SPECS),
});

export const getParametersForImport = defineOperation({
  name: "GetParametersForImport",
  readOnly: true,
  input: importParametersInput,
  subject: keyByIdOf,
  demands: (call, key) => [
    demandOn(call, key, "GetParametersForImport", [
      ["kms:WrappingAlgorithm", [call.input.WrappingAlgorithm]],
      ["kms:WrappingKeySpec", [call.input.WrappingKeySpec]],
    ]),
  ],
  perform: async ({ input: { WrappingAlgorithm: algorithm, WrappingKeySpec: spec }, regions, now }, key) => {
    assertOrigin(key, "EXTERNAL");
    assertNotPendingDeletion(key);
    assertOffered(key, algorithm, spec);
    const { privateKey, publicKey } = await newKeyObjects(spec);
    const validTo = new Date(now.getTime() + LIFETIME_MS);
    return {
      KeyId: key.arn,
      ImportToken: regions.importTokens.seal({ keyArn: key.arn, algorithm, validTo, privateKey }),
      PublicKey: publicKey.export({ type: "spki", format: "der" }),
      ParametersValidTo: validTo,
    };
  },
});

/** @throws AwsError UnsupportedOperationException, ValidationException */
function assertOffered({ keySpec }: KmsKey, algorithm: WrappingAlgorithm, wrappingKeySpec: WrappingKeySpec): void {
  if (algorithm === "RSAES_PKCS1_V1_5") throw unsupported("Wrapping algorithm RSAES_PKCS1_V1_5 is not supported.");
  if (algorithm === "SM2PKE" || wrappingKeySpec === "SM2") {
    throw unsupported("Wrapping with SM2 is not supported in this Region.");
  }
  if (canWrap(keySpec, algorithm, wrappingKeySpec)) return;
  throw validationError(
    `Wrapping algorithm ${algorithm} and wrapping key spec ${wrappingKeySpec} cannot be used to import a ${keySpec} key.`,
  );
}
