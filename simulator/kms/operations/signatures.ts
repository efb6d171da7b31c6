/** Sign and Verify (API_Sign, API_Verify), of messages, of digests and of ML-DSA's representatives. */
import { z } from "zod";
import { AwsError } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { currentMaterial } from "../key.js";
import type { KeyPairMaterial } from "../key-material.js";
import { isKeyPair } from "../key-pairs.js";
import { MESSAGE_TYPES, SIGNING_ALGORITHMS, signingAlgorithmsOf } from "../key-specs.js";
import type { Call } from "../operation.js";
import { defineOperation } from "../operation.js";
import { blob, dryRun, enumShownAs, grantTokens, keyId, message } from "../schema.js";
import type { Message } from "../signing/message.js";
import { assertMessageFits } from "../signing/message.js";
import type { SignatureScheme } from "../signing/schemes.js";
import { SIGNATURE_SCHEMES } from "../signing/schemes.js";
import { assertAlgorithm, assertUsable, demandOn, keyOf } from "./key-access.js";

const members = {
  KeyId: keyId,
  Message: message,
  MessageType: z.enum(MESSAGE_TYPES).optional(),
  /** KMS takes the algorithm of symmetric keys as one, which then is none of the key's. */
  SigningAlgorithm: enumShownAs([...SIGNING_ALGORITHMS, "SYMMETRIC_DEFAULT"], SIGNING_ALGORITHMS),
  GrantTokens: grantTokens,
  DryRun: dryRun,
};
const signInput = z.object(members);
const verifyInput = z.object({ ...members, Signature: blob(1, 6144) });

type SignCall = Call<z.infer<typeof signInput>>;

export const sign = defineOperation({
  name: "Sign",
  readOnly: true,
  input: signInput,
  subject: keyOf,
  demands: (call, key) => [signingDemand(call, key, "Sign")],
  perform: (call, key) => {
    const { scheme, material, message } = signingParts(call, key, "Sign");
    const { SigningAlgorithm } = call.input;
    return { KeyId: key.arn, Signature: scheme.sign(material, message), SigningAlgorithm };
  },
});

export const verify = defineOperation({
  name: "Verify",
  readOnly: true,
  input: verifyInput,
  subject: keyOf,
  demands: (call, key) => [signingDemand(call, key, "Verify")],
  perform: (call, key) => {
    const { scheme, material, message } = signingParts(call, key, "Verify");
    const { Signature, SigningAlgorithm } = call.input;
    if (!scheme.verify(material, message, Signature)) throw new AwsError("KMSInvalidSignatureException");
    return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm };
  },
});

const messageOf = ({ input }: SignCall): Message => ({ type: input.MessageType ?? "RAW", bytes: input.Message });

const signingDemand = (call: SignCall, key: KmsKey, action: string) =>
  demandOn(call, key, action, [
    ["kms:SigningAlgorithm", [call.input.SigningAlgorithm]],
    ["kms:MessageType", [messageOf(call).type]],
  ]);

interface SigningParts {
  readonly scheme: SignatureScheme;
  readonly material: KeyPairMaterial;
  readonly message: Message;
}

/** What signs, with what and what: all found to fit. @throws AwsError as `assertUsable`, ValidationException */
function signingParts(call: SignCall, key: KmsKey, operation: string): SigningParts {
  const { SigningAlgorithm: algorithm } = call.input;
  const message = messageOf(call);
  assertUsable(key, operation, "SIGN_VERIFY");
  assertAlgorithm(key, algorithm, signingAlgorithmsOf(key.keySpec));
  assertMessageFits(message, key.keySpec, algorithm);
  const material = currentMaterial(key);
  if (algorithm === "SM2DSA" || !isKeyPair(material))
    throw new TypeError("a signing key is a key pair, and not of SM2");
  return { scheme: SIGNATURE_SCHEMES[algorithm], material, message };
}
