/** The Recipient parameter: five operations, every wrong document, and the enclave's own reader on the other side. */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  DeriveSharedSecretCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairCommand,
  GenerateRandomCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCiphertextForRecipient } from "../../../enclave/kms/ciphertext-for-recipient.js";
import { utf8 } from "../../../shared/bytes.js";
import type { DocumentMaker } from "../../../simulator/nsm/document.js";
import { createDocumentMaker } from "../../../simulator/nsm/document.js";
import { createNitroPki } from "../../../simulator/pki/nitro-pki.js";
import type { Simulation } from "../../../simulator/simulation.js";
import { exampleImage, startSimulation } from "../../../simulator/simulation.js";
import { attest, errorNameOf, errorOf, kmsClient, recipientKeyPair, recipientOf } from "../../support/simulated-kms.js";
import { clockAt, HOUR, SECOND } from "../fixtures.js";

const clock = clockAt();
const { privateKey, spki } = recipientKeyPair();
const Plaintext = utf8("a secret");
const EncryptionContext = { tenant: "a" };

let simulation: Simulation;
let operator: KMSClient;
/** The parent's role, which the key's policy lets in only with the attestation of the image. */
let role: KMSClient;
let KeyId: string;
let agreementKey: string;
let CiphertextBlob: Uint8Array;
let documents: DocumentMaker;

const open = (sealed: Uint8Array | undefined) => openCiphertextForRecipient(sealed ?? new Uint8Array(), privateKey);
const genuine = async () => recipientOf(await attest(simulation.nsm, spki));

async function attestedKey(options: object, pcr0: string): Promise<string> {
  const { KeyMetadata } = await operator.send(new CreateKeyCommand(options));
  const id = KeyMetadata?.Arn ?? "";
  await operator.send(new PutKeyPolicyCommand({ KeyId: id, Policy: policyFor(pcr0) }));
  return id;
}

const policyFor = (pcr0: string, key = "kms:RecipientAttestation:ImageSha384") =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: simulation.accountId }, Action: "kms:*", Resource: "*" },
      {
        Effect: "Allow",
        Principal: { AWS: simulation.roleArn },
        Action: ["kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyPair", "kms:DeriveSharedSecret"],
        Resource: "*",
        Condition: { StringEqualsIgnoreCase: { [key]: pcr0 } },
      },
    ],
  });

const decrypt = (AttestationDocument?: Uint8Array, client = role) => {
  const Recipient = AttestationDocument && recipientOf(AttestationDocument);
  const input = { CiphertextBlob, EncryptionContext, ...(Recipient === undefined ? {} : { Recipient }) };
  return client.send(new DecryptCommand(input));
};

beforeAll(async () => {
  simulation = await startSimulation({ clock });
  operator = kmsClient(simulation.kms, clock);
  role = kmsClient(simulation.kms, clock, await simulation.roleCredentials());
  const pcr0 = simulation.pcrs[0] ?? "";
  KeyId = await attestedKey({}, pcr0);
  agreementKey = await attestedKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "KEY_AGREEMENT" }, pcr0);
  const sealed = await operator.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }));
  CiphertextBlob = sealed.CiphertextBlob ?? new Uint8Array();
  const pcrs = new Map(Object.entries(simulation.pcrs).map(([index, hex]) => [Number(index), Buffer.from(hex, "hex")]));
  documents = await createDocumentMaker({ pki: simulation.pki, instanceId: simulation.instanceId, pcrs });
});

afterAll(async () => {
  operator.destroy();
  role.destroy();
  await simulation.close();
});

describe("the five operations that take a Recipient", () => {
  it("pitfall 2: Decrypt seals the plaintext to the attested key and gives none", async () => {
    const answer = await role.send(
      new DecryptCommand({ CiphertextBlob, EncryptionContext, Recipient: await genuine() }),
    );
    expect(answer.Plaintext).toBeUndefined();
    expect(open(answer.CiphertextForRecipient)).toEqual(Plaintext);
    expect(answer.KeyId).toBe(KeyId);
  });

  it("pitfall 2: GenerateDataKey too, and the sealed copy holds the same key", async () => {
    const input = { KeyId, KeySpec: "AES_256", EncryptionContext, Recipient: await genuine() } as const;
    const answer = await role.send(new GenerateDataKeyCommand(input));
    expect(answer.Plaintext).toBeUndefined();
    const opened = await operator.send(
      new DecryptCommand({ CiphertextBlob: answer.CiphertextBlob, EncryptionContext }),
    );
    expect(open(answer.CiphertextForRecipient)).toEqual(opened.Plaintext);
  });

  it("pitfall 2: GenerateDataKeyPair too, for the largest private key", async () => {
    const input = { KeyId, KeyPairSpec: "RSA_4096", Recipient: await genuine() } as const;
    const answer = await role.send(new GenerateDataKeyPairCommand(input));
    expect(answer.PrivateKeyPlaintext).toBeUndefined();
    const pkcs8 = Buffer.from(open(answer.CiphertextForRecipient));
    const derived = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })).export({
      type: "spki",
      format: "der",
    });
    expect(new Uint8Array(derived)).toEqual(answer.PublicKey);
  });

  it("pitfall 2: GenerateRandom too", async () => {
    const answer = await role.send(new GenerateRandomCommand({ NumberOfBytes: 1024, Recipient: await genuine() }));
    expect(answer.Plaintext).toBeUndefined();
    expect(open(answer.CiphertextForRecipient)).toHaveLength(1024);
  });

  it("pitfall 2: DeriveSharedSecret too", async () => {
    const PublicKey = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey.export({
      type: "spki",
      format: "der",
    });
    const input = { KeyId: agreementKey, KeyAgreementAlgorithm: "ECDH", PublicKey } as const;
    const attested = await role.send(new DeriveSharedSecretCommand({ ...input, Recipient: await genuine() }));
    expect(attested.SharedSecret).toBeUndefined();
    const plain = await operator.send(new DeriveSharedSecretCommand(input));
    expect(open(attested.CiphertextForRecipient)).toEqual(plain.SharedSecret);
  });

  it("are all: Encrypt ignores the parameter, as AWS does", async () => {
    const input = { KeyId, Plaintext, Recipient: recipientOf(utf8("not a document")) };
    const answer = await operator.send(new EncryptCommand(input));
    expect(answer.KeyId).toBe(KeyId);
  });
});

describe("conditions on the attestation", () => {
  const denied = {
    name: "AccessDeniedException",
    message: expect.stringMatching(
      /^User: arn:aws:sts::\d{12}:assumed-role\/enclave-parent\/i-\w+ is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:\d{12}:key\/\S+ because no identity-based policy allows the kms:Decrypt action$/,
    ),
  };

  it("pitfall 2: refuse a plain Decrypt of the same role", async () => {
    expect(await errorOf(decrypt())).toEqual(denied);
  });

  it("refuse another image", async () => {
    const changed = await simulation.bootEnclave({
      ...exampleImage(),
      ramdisks: [utf8("simulated base system"), utf8("changed")],
    });
    expect(await errorOf(decrypt(await attest(changed.nsm, spki)))).toEqual(denied);
  });

  it("pitfall 6: refuse the same image in debug mode, whose document is genuine but has zero PCRs", async () => {
    const debug = await simulation.bootEnclave(exampleImage(), { debug: true });
    expect(debug.pcrs[0]).toBe("00".repeat(48));
    expect(await errorOf(decrypt(await attest(debug.nsm, spki)))).toEqual(denied);
    // Genuine it is: where no policy names an image, the answer is sealed to it.
    const answer = await decrypt(await attest(debug.nsm, spki), operator);
    expect(answer.Plaintext).toBeUndefined();
    expect(open(answer.CiphertextForRecipient)).toEqual(Plaintext);
  });

  it.each([0, 1, 2, 3, 4, 8])("know PCR%i", async (index) => {
    const key = `kms:RecipientAttestation:PCR${index}`;
    const put = (pcr: string) => operator.send(new PutKeyPolicyCommand({ KeyId, Policy: policyFor(pcr, key) }));
    const right = simulation.pcrs[index] ?? "00".repeat(48);
    await put(right.toUpperCase());
    const document = await attest(simulation.nsm, spki);
    expect(open((await decrypt(document)).CiphertextForRecipient)).toEqual(Plaintext);
    await put(right.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")));
    expect(await errorOf(decrypt(document))).toEqual(denied);
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy: policyFor(simulation.pcrs[0] ?? "") }));
  });
});

describe("an attestation document that is not in order never gets a plaintext", () => {
  /** As the operator, whom the policy would give the plaintext: only the document stands in the way. */
  const refused = async (document: Uint8Array) => {
    const error = await errorOf(decrypt(document, operator));
    expect(error.name).toBe("ValidationException");
    return error.message;
  };
  const withKey = { publicKey: spki };

  it("while the unchanged one gets its answer", async () => {
    const answer = await decrypt(await documents.make(withKey));
    expect(open(answer.CiphertextForRecipient)).toEqual(Plaintext);
  });

  it("pitfall 20: unreadable", async () => {
    expect(await refused(utf8("not a document"))).toContain("ERR_");
    expect(await refused(new Uint8Array(262_144))).toContain("ERR_");
  });

  it("empty, or longer than 262144 bytes", async () => {
    const at = "1 validation error detected: Value at 'recipient.attestationDocument' failed to satisfy constraint: ";
    expect(await refused(new Uint8Array())).toBe(`${at}Member must have length greater than or equal to 1`);
    expect(await refused(new Uint8Array(262_145))).toBe(`${at}Member must have length less than or equal to 262144`);
  });

  it("forged: signed by another key than the leaf's", async () => {
    const { privateKey: signingKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, [
      "sign",
      "verify",
    ]);
    expect(await refused(await documents.make(withKey, { signingKey }))).toContain("ERR_COSE_SIGNATURE");
  });

  it("changed after it was signed", async () => {
    const document = await documents.make(withKey);
    const at = Buffer.from(document).indexOf(Buffer.from(spki)) + 40;
    document[at] = (document[at] ?? 0) ^ 1;
    expect(await refused(document)).toContain("ERR_COSE_SIGNATURE");
  });

  it("pitfall 22: genuine, but under another root", async () => {
    const other = await createDocumentMaker({
      pki: await createNitroPki({ clock }),
      instanceId: simulation.instanceId,
    });
    expect(await refused(await other.make(withKey))).toContain("ERR_TRUST_ANCHOR");
  });

  it("without a public key", async () => {
    expect(await refused(await documents.make())).toContain("ERR_PUBLIC_KEY: the document carries no public key");
  });

  it.each([
    ["RSA-3072", () => recipientKeyPair(3072).spki],
    [
      "elliptic",
      () => generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey.export({ type: "spki", format: "der" }),
    ],
    ["PKCS #1", () => createPublicKey(privateKey).export({ type: "pkcs1", format: "der" })],
    ["followed by a byte", () => Uint8Array.of(...spki, 0)],
    ["no key", () => utf8("dummy")],
  ])("with a public key that is %s", async (_what, make) => {
    expect(await refused(await documents.make({ publicKey: make() }))).toContain(
      "ERR_PUBLIC_KEY: the public key is not",
    );
  });

  it("pitfall 21: from the future", async () => {
    const at = (ms: number) => documents.make({ ...withKey, timestampMs: clock().getTime() + ms });
    expect((await decrypt(await at(60 * SECOND))).CiphertextForRecipient).toBeDefined();
    expect(await refused(await at(61 * SECOND))).toContain("ERR_STALE");
  });

  it("pitfall 10: older than the freshness that was set, 300 seconds if none was", async () => {
    const at = (seconds: number) => documents.make({ ...withKey, timestampMs: clock().getTime() - seconds * SECOND });
    expect((await decrypt(await at(300))).CiphertextForRecipient).toBeDefined();
    expect(await refused(await at(301))).toContain("ERR_STALE: the document is older than 300 seconds");
    const strict = await startSimulation({ clock, freshnessSeconds: 10 });
    const client = kmsClient(strict.kms, clock);
    const maker = await createDocumentMaker({ pki: strict.pki, instanceId: strict.instanceId });
    const random = async (age: number) => {
      const document = await maker.make({ ...withKey, timestampMs: clock().getTime() - age * SECOND });
      return errorNameOf(
        client.send(new GenerateRandomCommand({ NumberOfBytes: 1, Recipient: recipientOf(document) })),
      );
    };
    expect(await random(10)).toBe("no error");
    expect(await random(11)).toBe("ValidationException");
    client.destroy();
    await strict.close();
  });

  it("another key encryption algorithm than RSAES_OAEP_SHA_256", async () => {
    const Recipient = { ...(await genuine()), KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_1" };
    // @ts-expect-error the SDK's types know only the one that there is
    const call = operator.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, Recipient }));
    expect(await errorOf(call)).toEqual({
      name: "ValidationException",
      message:
        "1 validation error detected: Value 'RSAES_OAEP_SHA_1' at 'recipient.keyEncryptionAlgorithm' failed to satisfy constraint: Member must satisfy enum value set: [RSAES_OAEP_SHA_256]",
    });
  });

  it("an empty Recipient", async () => {
    const call = operator.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, Recipient: {} }));
    const isNull = (member: string) =>
      `Value null at 'recipient.${member}' failed to satisfy constraint: Member must not be null`;
    expect(await errorOf(call)).toEqual({
      name: "ValidationException",
      message: `2 validation errors detected: ${isNull("keyEncryptionAlgorithm")}; ${isNull("attestationDocument")}`,
    });
  });

  it("pitfall 11: whose leaf has ended, however fresh its timestamp says it is", async () => {
    const later = clockAt(new Date(clock()));
    const own = await startSimulation({ clock: later });
    const maker = await createDocumentMaker({ pki: own.pki, instanceId: own.instanceId });
    later.advance(4 * HOUR);
    const Recipient = recipientOf(await maker.make(withKey));
    const client = kmsClient(own.kms, later);
    const error = await errorOf(client.send(new GenerateRandomCommand({ NumberOfBytes: 1, Recipient })));
    expect(error).toEqual({ name: "ValidationException", message: expect.stringContaining("ERR_CERT_TIME") });
    client.destroy();
    await own.close();
  });
});
