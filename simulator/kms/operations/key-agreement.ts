/** DeriveSharedSecret (API_DeriveSharedSecret): ECDH with the key and the caller's public key on the same curve. */
import type { KeyObject } from "node:crypto";
import { createPublicKey, diffieHellman } from "node:crypto";
import { z } from "zod";
import { AwsError } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { KEY_AGREEMENT_ALGORITHMS } from "../key-specs.js";
import { defineOperation, secretAnswer } from "../operation.js";
import { blob, dryRun, grantTokens, keyId, recipient } from "../schema.js";
import { assertUsable, demandOn, keyOf, materialOf } from "./key-access.js";

export const deriveSharedSecret = defineOperation({
  name: "DeriveSharedSecret",
  readOnly: true,
  input: z.object({
    KeyId: keyId,
    KeyAgreementAlgorithm: z.enum(KEY_AGREEMENT_ALGORITHMS),
    PublicKey: blob(1, 8192),
    GrantTokens: grantTokens,
    DryRun: dryRun,
    Recipient: recipient,
  }),
  subject: keyOf,
  demands: (call, key) => [
    demandOn(call, key, "DeriveSharedSecret", [["kms:KeyAgreementAlgorithm", [call.input.KeyAgreementAlgorithm]]]),
  ],
  perform: (call, key) => {
    assertUsable(key, "DeriveSharedSecret", "KEY_AGREEMENT");
    const secret = agree(key, readPublicKey(call.input.PublicKey));
    return {
      ...secretAnswer(call, "SharedSecret", secret),
      KeyId: key.arn,
      KeyAgreementAlgorithm: call.input.KeyAgreementAlgorithm,
      KeyOrigin: "AWS_KMS",
    };
  },
});

/** @throws AwsError ValidationException, without a text, for what is not a key on the same curve */
function agree(key: KmsKey, publicKey: KeyObject | undefined): Uint8Array {
  const { privateKey } = materialOf(key, "asymmetric", "DeriveSharedSecret");
  const curve = privateKey.asymmetricKeyDetails?.namedCurve;
  if (publicKey?.asymmetricKeyType !== "ec" || publicKey.asymmetricKeyDetails?.namedCurve !== curve) {
    throw new AwsError("ValidationException");
  }
  return diffieHellman({ privateKey, publicKey });
}

function readPublicKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  } catch {
    return undefined; // no key at all: refused like a key of another kind
  }
}
