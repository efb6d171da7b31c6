/** attestKms on the SDK's own client: the five operations, and each way in which an answer can be wrong. DESIGN decision 1. */
import { generateKeyPairSync } from "node:crypto";
import {
  DecryptCommand,
  DeriveSharedSecretCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  GenerateRandomCommand,
  ReEncryptCommand,
} from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { attestKms } from "../../../enclave/index.js";
import { toBase64, utf8 } from "../../../shared/bytes.js";
import type { FakeKms, Json, KmsCall, TestRecipient } from "../fakes.js";
import { FOREIGN_KEY_ARN, fakeKms, KEY_ARN, OTHER_KEY_ARN, testRecipient } from "../fakes.js";

const recipient = testRecipient();
const ciphertext = utf8("ciphertext");
const secret = utf8("a secret");

/** An attested client and the calls that reach KMS. */
function attested(answer: (call: KmsCall) => Json, to: TestRecipient = recipient): FakeKms {
  const kms = fakeKms(answer);
  attestKms(kms.client, to);
  return kms;
}

/** The answer of a KMS that does as asked, with one thing changed. */
const decryptAnswer = (changes: Json = {}): Json => ({
  KeyId: KEY_ARN,
  EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
  CiphertextForRecipient: recipient.seal(secret),
  ...changes,
});

const decrypt = (answer: Json, keyId: string | undefined = KEY_ARN) =>
  attested(() => answer).client.send(new DecryptCommand({ CiphertextBlob: ciphertext, KeyId: keyId }));

describe("the five operations", () => {
  it("Decrypt sends the document and hands the opened plaintext on as if KMS had sent it", async () => {
    const { client, calls } = attested(() => decryptAnswer());
    const answer = await client.send(new DecryptCommand({ CiphertextBlob: ciphertext, EncryptionContext: { a: "b" } }));
    expect(answer.Plaintext).toEqual(secret);
    expect(answer.CiphertextForRecipient).toBeUndefined();
    expect(answer.KeyId).toBe(KEY_ARN);
    expect(calls).toEqual([
      {
        operation: "Decrypt",
        body: {
          CiphertextBlob: toBase64(ciphertext),
          EncryptionContext: { a: "b" },
          Recipient: { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument: toBase64(utf8("document")) },
        },
      },
    ]);
  });

  it.each([
    ["AES_128", 16],
    ["AES_256", 32],
  ] as const)("GenerateDataKey of %s opens to %i bytes", async (KeySpec, length) => {
    const { client } = attested(() => ({
      KeyId: KEY_ARN,
      CiphertextBlob: toBase64(ciphertext),
      CiphertextForRecipient: recipient.seal(new Uint8Array(length).fill(7)),
    }));
    const answer = await client.send(new GenerateDataKeyCommand({ KeyId: KEY_ARN, KeySpec }));
    expect(answer.Plaintext).toEqual(new Uint8Array(length).fill(7));
    expect(answer.CiphertextBlob).toEqual(ciphertext);
  });

  it("GenerateDataKey of NumberOfBytes opens to that many", async () => {
    const { client } = attested(() => ({
      KeyId: KEY_ARN,
      CiphertextBlob: toBase64(ciphertext),
      CiphertextForRecipient: recipient.seal(new Uint8Array(64)),
    }));
    const answer = await client.send(new GenerateDataKeyCommand({ KeyId: KEY_ARN, NumberOfBytes: 64 }));
    expect(answer.Plaintext).toHaveLength(64);
  });

  it("GenerateDataKeyPair opens the private key into PrivateKeyPlaintext", async () => {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pkcs8 = new Uint8Array(pair.privateKey.export({ type: "pkcs8", format: "der" }));
    const { client } = attested(() => ({
      KeyId: KEY_ARN,
      KeyPairSpec: "ECC_NIST_P256",
      PublicKey: toBase64(new Uint8Array(pair.publicKey.export({ type: "spki", format: "der" }))),
      PrivateKeyCiphertextBlob: toBase64(ciphertext),
      CiphertextForRecipient: recipient.seal(pkcs8),
    }));
    const answer = await client.send(new GenerateDataKeyPairCommand({ KeyId: KEY_ARN, KeyPairSpec: "ECC_NIST_P256" }));
    expect(answer.PrivateKeyPlaintext).toEqual(pkcs8);
  });

  it("DeriveSharedSecret opens into SharedSecret", async () => {
    const { client } = attested(() => ({ KeyId: KEY_ARN, CiphertextForRecipient: recipient.seal(secret) }));
    const answer = await client.send(
      new DeriveSharedSecretCommand({ KeyId: KEY_ARN, KeyAgreementAlgorithm: "ECDH", PublicKey: utf8("public") }),
    );
    expect(answer.SharedSecret).toEqual(secret);
  });

  it("GenerateRandom opens to NumberOfBytes, and its answer names no key", async () => {
    const { client } = attested(() => ({ CiphertextForRecipient: recipient.seal(new Uint8Array(24)) }));
    const answer = await client.send(new GenerateRandomCommand({ NumberOfBytes: 24 }));
    expect(answer.Plaintext).toHaveLength(24);
  });

  it("hands on bytes that are the caller's own to overwrite", async () => {
    const first = await decrypt(decryptAnswer());
    first.Plaintext?.fill(0);
    expect((await decrypt(decryptAnswer())).Plaintext).toEqual(secret);
  });
});

describe("plaintext in an answer", () => {
  it("pitfall 2: an answer with Plaintext beside CiphertextForRecipient is refused", async () => {
    await expect(decrypt(decryptAnswer({ Plaintext: toBase64(secret) }))).rejects.toThrowCode("ERR_KMS_ANSWER");
  });

  it("pitfall 2: a parent that strips Recipient gets a plaintext answer, which the enclave refuses", async () => {
    const stripped = { KeyId: KEY_ARN, Plaintext: toBase64(secret) };
    await expect(decrypt(stripped)).rejects.toThrowCode("ERR_KMS_ANSWER");
  });

  it("pitfall 2: PrivateKeyPlaintext and SharedSecret are plaintext as well", async () => {
    await expect(decrypt(decryptAnswer({ Plaintext: "" }))).resolves.toMatchObject({ Plaintext: secret });
    const pair = attested(() => ({ KeyId: KEY_ARN, PrivateKeyPlaintext: toBase64(secret) }));
    const command = new GenerateDataKeyPairCommand({ KeyId: KEY_ARN, KeyPairSpec: "RSA_2048" });
    await expect(pair.client.send(command)).rejects.toThrowCode("ERR_KMS_ANSWER");
    const shared = attested(() => ({ KeyId: KEY_ARN, SharedSecret: toBase64(secret) }));
    const derive = new DeriveSharedSecretCommand({
      KeyId: KEY_ARN,
      KeyAgreementAlgorithm: "ECDH",
      PublicKey: utf8("public"),
    });
    await expect(shared.client.send(derive)).rejects.toThrowCode("ERR_KMS_ANSWER");
  });

  it("an answer without CiphertextForRecipient is refused", async () => {
    await expect(decrypt({ KeyId: KEY_ARN })).rejects.toThrowCode("ERR_KMS_ANSWER");
    await expect(decrypt(decryptAnswer({ CiphertextForRecipient: "" }))).rejects.toThrowCode("ERR_KMS_ANSWER");
  });
});

describe("keys", () => {
  it.each([
    ["the key ARN", KEY_ARN],
    ["the key id", "1234abcd-12ab-34cd-56ef-1234567890ab"],
    ["the alias", "alias/payments"],
    ["the alias ARN", "arn:aws:kms:us-east-1:111122223333:alias/payments"],
  ])("a key is found by %s", async (_, keyId) => {
    await expect(decrypt(decryptAnswer(), keyId)).resolves.toMatchObject({ Plaintext: secret });
  });

  it.each([
    ["a foreign key ARN", FOREIGN_KEY_ARN],
    ["an alias that the configuration does not name", "alias/other"],
    ["the alias of another account", "arn:aws:kms:us-east-1:999999999999:alias/payments"],
    ["the alias of another Region", "arn:aws:kms:eu-west-1:111122223333:alias/payments"],
    ["a name of Object.prototype", "constructor"],
  ])("pitfall 4: %s is refused before KMS is asked", async (_, keyId) => {
    const { client, calls } = attested(() => decryptAnswer());
    const command = new DecryptCommand({ CiphertextBlob: ciphertext, KeyId: keyId });
    await expect(client.send(command)).rejects.toThrowCode("ERR_KMS_KEY");
    expect(calls).toEqual([]);
  });

  it("pitfall 4: an answer from a key that is not pinned is refused", async () => {
    await expect(decrypt(decryptAnswer({ KeyId: FOREIGN_KEY_ARN }))).rejects.toThrowCode("ERR_KMS_KEY");
  });

  it("pitfall 4: an answer from another pinned key than the one asked for is refused", async () => {
    await expect(decrypt(decryptAnswer({ KeyId: OTHER_KEY_ARN }), "alias/payments")).rejects.toThrowCode("ERR_KMS_KEY");
  });

  it("pitfall 4: without a KeyId in the request any pinned key may answer, and no other", async () => {
    const { client } = attested(() => decryptAnswer({ KeyId: OTHER_KEY_ARN }));
    await expect(client.send(new DecryptCommand({ CiphertextBlob: ciphertext }))).resolves.toBeDefined();
    const foreign = attested(() => decryptAnswer({ KeyId: FOREIGN_KEY_ARN }));
    const command = new DecryptCommand({ CiphertextBlob: ciphertext });
    await expect(foreign.client.send(command)).rejects.toThrowCode("ERR_KMS_KEY");
  });

  it("an answer that names the key by alias, or not at all, is refused", async () => {
    await expect(decrypt(decryptAnswer({ KeyId: "alias/payments" }))).rejects.toThrowCode("ERR_KMS_KEY");
    await expect(decrypt(decryptAnswer({ KeyId: undefined }))).rejects.toThrowCode("ERR_KMS_KEY");
  });

  it("operations without Recipient stay within the pinned keys too", async () => {
    const { client, calls } = attested(() => ({ KeyId: KEY_ARN, CiphertextBlob: toBase64(ciphertext) }));
    const answer = await client.send(new EncryptCommand({ KeyId: "alias/payments", Plaintext: secret }));
    expect(answer.CiphertextBlob).toEqual(ciphertext);
    expect(calls[0]?.body.Recipient).toBeUndefined();
    const encrypt = new EncryptCommand({ KeyId: FOREIGN_KEY_ARN, Plaintext: secret });
    await expect(client.send(encrypt)).rejects.toThrowCode("ERR_KMS_KEY");
    const swapped = new GenerateDataKeyWithoutPlaintextCommand({ KeyId: OTHER_KEY_ARN, KeySpec: "AES_256" });
    await expect(client.send(swapped)).rejects.toThrowCode("ERR_KMS_KEY");
    expect(calls).toHaveLength(2);
  });

  it("ReEncrypt is held to the pinned keys on both sides", async () => {
    const { client } = attested(() => ({ KeyId: OTHER_KEY_ARN, SourceKeyId: KEY_ARN }));
    const reEncrypt = (SourceKeyId: string, DestinationKeyId: string) =>
      client.send(new ReEncryptCommand({ CiphertextBlob: ciphertext, SourceKeyId, DestinationKeyId }));
    await expect(reEncrypt(KEY_ARN, OTHER_KEY_ARN)).resolves.toBeDefined();
    await expect(reEncrypt(FOREIGN_KEY_ARN, OTHER_KEY_ARN)).rejects.toThrowCode("ERR_KMS_KEY");
    await expect(reEncrypt(KEY_ARN, FOREIGN_KEY_ARN)).rejects.toThrowCode("ERR_KMS_KEY");
  });

  it("operations that answer no KeyId pass", async () => {
    const { client } = attested(() => ({ KeyMetadata: { KeyId: "1234abcd-12ab-34cd-56ef-1234567890ab" } }));
    await expect(client.send(new DescribeKeyCommand({ KeyId: KEY_ARN }))).resolves.toBeDefined();
  });
});

describe("what was opened", () => {
  it("a data key of another length than asked for is refused", async () => {
    const { client } = attested(() => ({
      KeyId: KEY_ARN,
      CiphertextBlob: toBase64(ciphertext),
      CiphertextForRecipient: recipient.seal(new Uint8Array(16)),
    }));
    const command = new GenerateDataKeyCommand({ KeyId: KEY_ARN, KeySpec: "AES_256" });
    await expect(client.send(command)).rejects.toThrowCode("ERR_KMS_ANSWER");
  });

  it("fewer random bytes than asked for are refused", async () => {
    const { client } = attested(() => ({ CiphertextForRecipient: recipient.seal(new Uint8Array(8)) }));
    const command = new GenerateRandomCommand({ NumberOfBytes: 24 });
    await expect(client.send(command)).rejects.toThrowCode("ERR_KMS_ANSWER");
  });

  it("a private key that is no PKCS#8 is refused", async () => {
    const { client } = attested(() => ({ KeyId: KEY_ARN, CiphertextForRecipient: recipient.seal(secret) }));
    const command = new GenerateDataKeyPairCommand({ KeyId: KEY_ARN, KeyPairSpec: "RSA_2048" });
    await expect(client.send(command)).rejects.toThrowCode("ERR_KMS_ANSWER");
  });

  it("pitfall 17: an envelope for another key, and a changed one, end in the same code", async () => {
    const other = testRecipient().seal(secret);
    await expect(decrypt(decryptAnswer({ CiphertextForRecipient: other }))).rejects.toThrowCode(
      "ERR_DECRYPTION_FAILED",
    );
    const changed = Buffer.from(recipient.seal(secret), "base64");
    // Last byte of the IV: before five end-of-contents, the only block with its header, and the header of [0]. It turns
    // the last padding byte from 8 to 9.
    const last = changed.length - 5 * 2 - (16 + 2) - 2 - 1;
    changed[last] = (changed[last] ?? 0) ^ 1;
    const answer = decryptAnswer({ CiphertextForRecipient: changed.toString("base64") });
    await expect(decrypt(answer)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("an envelope that is none is refused as malformed", async () => {
    const answer = decryptAnswer({ CiphertextForRecipient: toBase64(utf8("no envelope")) });
    await expect(decrypt(answer)).rejects.toThrowCode("ERR_CMS_MALFORMED");
  });
});

describe("use", () => {
  it("a command that brings its own Recipient is refused before KMS is asked", async () => {
    const { client, calls } = attested(() => decryptAnswer());
    const Recipient = { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256" as const, AttestationDocument: utf8("mine") };
    await expect(client.send(new DecryptCommand({ CiphertextBlob: ciphertext, Recipient }))).rejects.toThrow(TypeError);
    expect(calls).toEqual([]);
  });

  it("a client is attested once", () => {
    const { client } = attested(() => decryptAnswer());
    expect(() => attestKms(client, recipient)).toThrow(TypeError);
  });

  it("one lease serves one command, through its retries", async () => {
    const own = testRecipient();
    let failures = 2;
    const kms = fakeKms(
      () =>
        failures-- > 0
          ? { $status: 500, __type: "KMSInternalException" }
          : { KeyId: KEY_ARN, CiphertextForRecipient: own.seal(secret) },
      { maxAttempts: 3 },
    );
    attestKms(kms.client, own);
    const answer = await kms.client.send(new DecryptCommand({ CiphertextBlob: ciphertext }));
    expect(answer.Plaintext).toEqual(secret);
    expect(kms.calls).toHaveLength(3);
    expect(own.leases).toBe(1);
  });

  it("what the recipient refuses, the command refuses", async () => {
    const { client, calls } = attested(() => decryptAnswer(), {
      ...recipient,
      lease: () => Promise.reject(new TypeError("no lease")),
    });
    await expect(client.send(new DecryptCommand({ CiphertextBlob: ciphertext }))).rejects.toThrow("no lease");
    expect(calls).toEqual([]);
  });
});
