/** DeriveSharedSecret (API_DeriveSharedSecret): ECDH with the key and the caller's public key on the same curve. */
import type { KeyObject } from "node:crypto";
import { createPublicKey, diffieHellman } from "node:crypto";
import { z } from "zod";
import { copyBytes } from "../../../shared/bytes.js";
import { AwsError } from "../../errors.js";
import type { CurveName } from "../ec-keys.js";
import { curveOf, isPublicKeyOn } from "../ec-keys.js";
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
    const secret = agree(key, call.input.PublicKey);
    return {
      ...secretAnswer(call, "SharedSecret", secret),
      KeyId: key.arn,
      KeyAgreementAlgorithm: call.input.KeyAgreementAlgorithm,
      KeyOrigin: key.origin,
    };
  },
});

/** @throws AwsError ValidationException, without a text, for what is not a key on the same curve */
function agree(key: KmsKey, spki: Uint8Array): Uint8Array {
  const { privateKey } = materialOf(key, "asymmetric", "DeriveSharedSecret");
  const publicKey = readPublicKey(curveOf(privateKey), copyBytes(spki));
  if (publicKey === undefined) throw new AwsError("ValidationException");
  return diffieHellman({ privateKey, publicKey });
}

function readPublicKey(curve: CurveName, spki: Uint8Array<ArrayBuffer>): KeyObject | undefined {
  try {
    if (!isPublicKeyOn(curve, spki)) return undefined;
    return createPublicKey({ key: Buffer.from(spki.buffer), format: "der", type: "spki" });
  } catch {
    return undefined; // no key at all: refused like one on another curve
  }
}
