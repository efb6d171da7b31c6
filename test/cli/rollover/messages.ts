/**
 * Messages of the AWS Encryption SDK under KMS keys that are no more than their names: a data key is wrapped under a hash of
 * the ARN, so any process can open what another has made. `fakeReEncrypt` is what an enclave does with them.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import type { AwsEsdkKMSInterface } from "@aws-crypto/client-node";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import type { ReEncrypt, ReEncryptOptions } from "../../../cli/rollover/re-encrypt.js";
import { concatBytes } from "../../../shared/bytes.js";

export const OLD = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
export const NEW = "arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
export const THIRD = "arn:aws:kms:us-east-1:111122223333:key/11112222-3333-4444-5555-666677778888";
export const CONTEXT = { tenant: "acme", record: "42" };

export interface MessageOptions {
  readonly keyIds?: readonly string[];
  readonly context?: Readonly<Record<string, string>>;
  readonly signed?: boolean;
  readonly committed?: boolean;
}

const suiteOf = ({ signed = false, committed = true }: MessageOptions): number =>
  committed ? (signed ? 0x0578 : 0x0478) : 0x0178;

const sdk = (committed = true) =>
  buildClient({
    commitmentPolicy: committed
      ? CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
      : CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
    maxEncryptedDataKeys: 4,
  });

export async function messageOf(plaintext: Uint8Array, options: MessageOptions = {}): Promise<Uint8Array> {
  const { keyIds: [generatorKeyId = OLD, ...keyIds] = [], context = CONTEXT, committed } = options;
  const keyring = new KmsKeyringNode({ clientProvider: () => kms, generatorKeyId, keyIds });
  const { result } = await sdk(committed).encrypt(keyring, plaintext, {
    encryptionContext: context,
    suiteId: suiteOf(options),
  });
  return new Uint8Array(result);
}

/** Opens a message with the one key, and no other. */
export async function open(message: Uint8Array, keyId: string) {
  const keyring = new KmsKeyringNode({ clientProvider: () => kms, keyIds: [keyId] });
  const { plaintext, messageHeader } = await sdk().decrypt(keyring, message);
  return { plaintext: new Uint8Array(plaintext), context: messageHeader.encryptionContext };
}

/** Re-encrypts from OLD to the key that it is asked for. */
export const fakeReEncrypt: ReEncrypt = {
  whole: reEncrypt,
  stream: async (message, options) => {
    const parts: Uint8Array[] = [];
    for await (const part of message) parts.push(part);
    const made = await reEncrypt(concatBytes(...parts), options);
    return (async function* () {
      for (let at = 0; at < made.length; at += 50_000) yield made.subarray(at, at + 50_000);
    })();
  },
};

async function reEncrypt(message: Uint8Array, options: ReEncryptOptions): Promise<Uint8Array> {
  options.signal.throwIfAborted();
  const { plaintext, context } = await open(message, OLD);
  const { "aws-crypto-public-key": _, ...chosen } = context;
  return messageOf(plaintext, { keyIds: options.keyIds ?? [NEW], context: chosen, signed: options.signed });
}

const aad = (context: object = {}): Buffer => Buffer.from(JSON.stringify(Object.entries(context).sort()));
const wrappingKey = (keyId: string): Buffer => createHash("sha256").update(keyId).digest();

function wrap(keyId: string, plaintext: Uint8Array, context: object | undefined): Uint8Array {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", wrappingKey(keyId), iv).setAAD(aad(context));
  const ciphertext = concatBytes(cipher.update(plaintext), cipher.final());
  return concatBytes(iv, ciphertext, cipher.getAuthTag());
}

function unwrap(keyId: string, wrapped: Uint8Array, context: object | undefined): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", wrappingKey(keyId), wrapped.subarray(0, 12)).setAAD(aad(context));
  decipher.setAuthTag(wrapped.subarray(-16));
  return concatBytes(decipher.update(wrapped.subarray(12, -16)), decipher.final());
}

const kms: AwsEsdkKMSInterface = {
  generateDataKey: async ({ KeyId, NumberOfBytes = 32, EncryptionContext }) => {
    const plaintext = new Uint8Array(randomBytes(NumberOfBytes));
    return { KeyId, Plaintext: plaintext, CiphertextBlob: wrap(KeyId, plaintext, EncryptionContext) };
  },
  encrypt: async ({ KeyId, Plaintext, EncryptionContext }) => ({
    KeyId,
    CiphertextBlob: wrap(KeyId, Plaintext, EncryptionContext),
  }),
  decrypt: async ({ KeyId = "", CiphertextBlob, EncryptionContext }) => ({
    KeyId,
    Plaintext: unwrap(KeyId, CiphertextBlob, EncryptionContext),
  }),
};
