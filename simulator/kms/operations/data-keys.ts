/** Data keys and data key pairs, with and without plaintext (API_GenerateDataKey, API_GenerateDataKeyPair). */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { wipe } from "../../../shared/bytes.js";
import { AwsError, validationError } from "../../errors.js";
import type { Answer } from "../answer.js";
import { sealBlob } from "../ciphertext-blob.js";
import type { KmsKey } from "../key.js";
import type { SymmetricMaterial } from "../key-material.js";
import { encodePrivateKey, encodePublicKey, newKeyPair } from "../key-pairs.js";
import { DATA_KEY_PAIR_SPECS, KEY_SPECS } from "../key-specs.js";
import type { Call } from "../operation.js";
import { defineOperation, secretAnswer } from "../operation.js";
import { dryRun, encryptionContext, enumShownAs, grantTokens, keyId, recipient } from "../schema.js";
import { assertUsable, blobKeyOf, contextConditions, demandOn, keyOf, materialOf } from "./key-access.js";

const common = { KeyId: keyId, EncryptionContext: encryptionContext, GrantTokens: grantTokens, DryRun: dryRun };

const dataKeyMembers = {
  ...common,
  KeySpec: enumShownAs(["AES_256", "AES_128"], KEY_SPECS).optional(),
  NumberOfBytes: z.int().min(1).max(1024).optional(),
};
const pairMembers = { ...common, KeyPairSpec: z.enum(DATA_KEY_PAIR_SPECS) };

const dataKeyInput = z.object(dataKeyMembers);
const pairInput = z.object(pairMembers);

type DataKeyCall = Call<z.infer<typeof dataKeyInput>>;
type PairCall = Call<z.infer<typeof pairInput>>;

export const generateDataKey = defineOperation({
  name: "GenerateDataKey",
  readOnly: true,
  input: z.object({ ...dataKeyMembers, Recipient: recipient }),
  subject: keyOf,
  demands: (call, key) => [dataKeyDemand(call, key, "GenerateDataKey")],
  perform: (call, key) => {
    const { secret, answer } = newDataKey(call, key, "GenerateDataKey");
    return { ...answer, ...secretAnswer(call, "Plaintext", secret) };
  },
});

export const generateDataKeyWithoutPlaintext = defineOperation({
  name: "GenerateDataKeyWithoutPlaintext",
  readOnly: true,
  input: dataKeyInput,
  subject: keyOf,
  demands: (call, key) => [dataKeyDemand(call, key, "GenerateDataKeyWithoutPlaintext")],
  perform: (call, key) => withoutSecret(newDataKey(call, key, "GenerateDataKeyWithoutPlaintext")),
});

export const generateDataKeyPair = defineOperation({
  name: "GenerateDataKeyPair",
  readOnly: true,
  input: z.object({ ...pairMembers, Recipient: recipient }),
  subject: keyOf,
  demands: (call, key) => [pairDemand(call, key, "GenerateDataKeyPair")],
  perform: async (call, key) => {
    const { secret, answer } = await newDataKeyPair(call, key, "GenerateDataKeyPair");
    return { ...answer, ...secretAnswer(call, "PrivateKeyPlaintext", secret) };
  },
});

export const generateDataKeyPairWithoutPlaintext = defineOperation({
  name: "GenerateDataKeyPairWithoutPlaintext",
  readOnly: true,
  input: pairInput,
  subject: keyOf,
  demands: (call, key) => [pairDemand(call, key, "GenerateDataKeyPairWithoutPlaintext")],
  perform: async (call, key) => withoutSecret(await newDataKeyPair(call, key, "GenerateDataKeyPairWithoutPlaintext")),
});

const dataKeyDemand = (call: DataKeyCall, key: KmsKey, action: string) =>
  demandOn(call, key, action, [
    ["kms:EncryptionAlgorithm", ["SYMMETRIC_DEFAULT"]],
    ...contextConditions(call.input.EncryptionContext),
  ]);

const pairDemand = (call: PairCall, key: KmsKey, action: string) =>
  demandOn(call, key, action, [
    ["kms:DataKeyPairSpec", [call.input.KeyPairSpec]],
    ["kms:EncryptionAlgorithm", ["SYMMETRIC_DEFAULT"]],
    ...contextConditions(call.input.EncryptionContext),
  ]);

interface Generated {
  readonly secret: Uint8Array;
  /** Everything but the secret in the clear. */
  readonly answer: Answer;
}

function withoutSecret({ secret, answer }: Generated): Answer {
  wipe(secret);
  return answer;
}

function newDataKey({ input }: DataKeyCall, key: KmsKey, operation: string): Generated {
  if ((input.KeySpec === undefined) === (input.NumberOfBytes === undefined)) {
    throw validationError("Please specify either number of bytes or key spec.");
  }
  const material = sealingMaterial(key, operation, "data key");
  const secret = randomBytes(input.NumberOfBytes ?? (input.KeySpec === "AES_128" ? 16 : 32));
  const sealed = sealBlob(blobKeyOf(key, material), material.secret, secret, input.EncryptionContext ?? new Map());
  return { secret, answer: { CiphertextBlob: sealed, KeyId: key.arn, KeyMaterialId: material.id } };
}

async function newDataKeyPair(call: PairCall, found: KmsKey, operation: string): Promise<Generated> {
  const { input } = call;
  sealingMaterial(found, operation, "data key pair");
  const pair = await newKeyPair(input.KeyPairSpec);
  // Making it takes a while, in which somebody else may have disabled the key, or rotated it.
  const key = call.keys.resolve(found.arn, found.accountId);
  const material = sealingMaterial(key, operation, "data key pair");
  const secret = encodePrivateKey(pair);
  const sealed = sealBlob(blobKeyOf(key, material), material.secret, secret, input.EncryptionContext ?? new Map());
  const answer = {
    PrivateKeyCiphertextBlob: sealed,
    PublicKey: encodePublicKey(pair),
    KeyId: key.arn,
    KeyPairSpec: input.KeyPairSpec,
    KeyMaterialId: material.id,
  };
  return { secret, answer };
}

/** What seals a data key. @throws AwsError as `assertUsable` */
function sealingMaterial(key: KmsKey, operation: string, what: "data key" | "data key pair"): SymmetricMaterial {
  assertUsable(key, operation, "ENCRYPT_DECRYPT");
  if (key.keySpec !== "SYMMETRIC_DEFAULT") {
    throw new AwsError("InvalidKeyUsageException", `You cannot generate a ${what} with an asymmetric CMK`);
  }
  return materialOf(key, "symmetric", operation);
}
