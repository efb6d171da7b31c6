/**
 * `sign-digest`: a signature with a key that nobody has but enclaves. The ciphertext is `PrivateKeyCiphertextBlob` of KMS
 * GenerateDataKeyPairWithoutPlaintext, so that not even whoever had the pair made has seen its private half; see
 * `makeSigningKey` in local/operator.ts.
 *
 * RSASSA-PKCS1-v1_5 signs a SHA-256 digest that the caller has made. For ECDSA and RSASSA-PSS the caller sends the message
 * (as KMS Sign takes it: 4096 bytes at most) and the enclave makes the digest: node:crypto hashes whatever it signs
 * with these (on Node 20 `sign(null, digest, key)` does as well), and arithmetic on private keys is not to be written by
 * hand. What is longer is signed by a short statement that holds its digest, as in JWS, CMS and DSSE.
 */
import type { KeyObject } from "node:crypto";
import { constants, createPrivateKey, privateEncrypt, sign } from "node:crypto";
import { defineFunction, ServiceError } from "nitro-decrypt/enclave";
import { z } from "zod";

const SHA_256_BYTES = 32;
const MAX_MESSAGE_BYTES = 4096;
/** RFC 8017 §9.2, note 1: the DER of DigestInfo before a SHA-256 digest. */
const DIGEST_INFO = Buffer.from("3031300d060960864801650304020105000420", "hex");

/** Canonical base64 of `min` to `max` bytes, as bytes. */
const bytes = (min: number, max: number) =>
  z
    .base64()
    .max(Math.ceil(max / 3) * 4)
    .refine((text) => Buffer.from(text, "base64").toString("base64") === text)
    .transform((text) => Buffer.from(text, "base64"))
    .refine(({ length }) => length >= min && length <= max);

const digest = bytes(SHA_256_BYTES, SHA_256_BYTES);
const message = bytes(1, MAX_MESSAGE_BYTES);
const input = z.discriminatedUnion("algorithm", [
  z.strictObject({ algorithm: z.literal("RSASSA_PKCS1_V1_5_SHA_256"), digest }),
  z.strictObject({ algorithm: z.literal("RSASSA_PSS_SHA_256"), message }),
  z.strictObject({ algorithm: z.literal("ECDSA_SHA_256"), message }),
]);
type Input = z.infer<typeof input>;

export const signDigest = defineFunction({
  name: "sign-digest",
  input,
  output: z.strictObject({ signature: z.base64() }),
  // The PKCS #8 bytes are the enclave's to overwrite; OpenSSL clears its own copy when the key object is collected.
  run: ({ input, plaintext }) => ({ signature: signatureOf(input, openKey(plaintext, input)).toString("base64") }),
});

/** ECDSA signatures are DER (RFC 3279 §2.2.3), as those of KMS are. */
function signatureOf(input: Input, key: KeyObject): Buffer {
  switch (input.algorithm) {
    case "RSASSA_PKCS1_V1_5_SHA_256": {
      const padding = constants.RSA_PKCS1_PADDING;
      return privateEncrypt({ key, padding }, Buffer.concat([DIGEST_INFO, input.digest]));
    }
    case "RSASSA_PSS_SHA_256": {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return sign("sha256", input.message, { key, padding, saltLength: SHA_256_BYTES });
    }
    case "ECDSA_SHA_256":
      return sign("sha256", input.message, { key, dsaEncoding: "der" });
  }
}

/** The private key, which must be one for the algorithm. */
function openKey(pkcs8: Uint8Array, { algorithm }: Input): KeyObject {
  const key = parsePkcs8(pkcs8);
  const { namedCurve, modulusLength = 0 } = key?.asymmetricKeyDetails ?? {};
  const isEc = key?.asymmetricKeyType === "ec" && namedCurve === "prime256v1";
  const isRsa = key?.asymmetricKeyType === "rsa" && modulusLength >= 2048;
  if (key !== undefined && (algorithm === "ECDSA_SHA_256" ? isEc : isRsa)) return key;
  throw new ServiceError("ERR_FUNCTION_REFUSED", "expected a private key for the algorithm");
}

function parsePkcs8(pkcs8: Uint8Array): KeyObject | undefined {
  const key = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.length); // a view, not another copy
  try {
    return createPrivateKey({ key, format: "der", type: "pkcs8" });
  } catch {
    return undefined; // what is wrong with it says something about a secret
  }
}
