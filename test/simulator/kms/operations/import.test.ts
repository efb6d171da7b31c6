/**
 * Imported key material through the unmodified AWS SDK: every way to wrap it, for every kind of key; its end, its return, a
 * second one in a symmetric key; and each wrong thing with its error.
 */
import { createHmac, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import type {
  AlgorithmSpec,
  KeyMetadata,
  KeySpec,
  KeyUsageType,
  KMSClient,
  WrappingKeySpec,
} from "@aws-sdk/client-kms";
import {
  CancelKeyDeletionCommand,
  CreateKeyCommand,
  DecryptCommand,
  DeleteImportedKeyMaterialCommand,
  DeriveSharedSecretCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetParametersForImportCommand,
  GetPublicKeyCommand,
  ImportKeyMaterialCommand,
  ListKeyRotationsCommand,
  PutKeyPolicyCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../../shared/bytes.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { importedMaterial } from "../../../../simulator/kms/import/imported-material.js";
import type { KmsKey } from "../../../../simulator/kms/key.js";
import { encodePrivateKey, newKeyPair } from "../../../../simulator/kms/key-pairs.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { wrapMaterial } from "../../../support/wrapped-material.js";
import type { SetClock } from "../../fixtures.js";
import { clockAt, DAY, HOUR } from "../../fixtures.js";

const Plaintext = utf8("a secret");
const FOR_GOOD = { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" } as const;
let clock: SetClock;
let kms: SimulatedKms;
let client: KMSClient;

beforeEach(async () => {
  clock = clockAt();
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
});

afterEach(async () => {
  client.destroy();
  await kms.close();
});

function pass(ms: number): void {
  clock.advance(ms);
  client.destroy();
  client = kmsClient(kms, clock);
}

async function newKey(KeySpec: KeySpec = "SYMMETRIC_DEFAULT", KeyUsage: KeyUsageType = "ENCRYPT_DECRYPT") {
  const { KeyMetadata } = await client.send(new CreateKeyCommand({ KeySpec, KeyUsage, Origin: "EXTERNAL" }));
  return KeyMetadata?.Arn ?? "";
}

interface Wrapping {
  readonly algorithm?: AlgorithmSpec;
  readonly spec?: WrappingKeySpec;
}

/** What has been given for a key and a wrapping: wrapping keys take their time, and can be used again. */
const given = new Map<string, ReturnType<typeof parametersFor>>();

const parametersFor = (KeyId: string, { algorithm = "RSAES_OAEP_SHA_256", spec = "RSA_2048" }: Wrapping = {}) =>
  client.send(new GetParametersForImportCommand({ KeyId, WrappingAlgorithm: algorithm, WrappingKeySpec: spec }));

/** Imports for good, if `terms` do not say otherwise. */
async function importInto(KeyId: string, material: Uint8Array, terms: object = FOR_GOOD, wrapping: Wrapping = {}) {
  const name = JSON.stringify([KeyId, wrapping, clock().toDateString()]);
  const parameters = given.get(name) ?? parametersFor(KeyId, wrapping);
  given.set(name, parameters);
  const { ImportToken, PublicKey = new Uint8Array() } = await parameters;
  const EncryptedKeyMaterial = wrapMaterial(wrapping.algorithm ?? "RSAES_OAEP_SHA_256", PublicKey, material);
  const command = new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial });
  Object.assign(command.input, terms);
  return client.send(command);
}

const remove = (KeyId: string, KeyMaterialId?: string) =>
  client.send(new DeleteImportedKeyMaterialCommand({ KeyId, KeyMaterialId }));
const metadataOf = async (KeyId: string): Promise<Partial<KeyMetadata>> =>
  (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata ?? {};
const encrypt = async (KeyId: string) =>
  (await client.send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob ?? new Uint8Array();
const decrypt = (CiphertextBlob: Uint8Array) => client.send(new DecryptCommand({ CiphertextBlob }));
const rotate = (KeyId: string) => client.send(new RotateKeyOnDemandCommand({ KeyId }));

async function materialsOf(KeyId: string) {
  const command = new ListKeyRotationsCommand({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" });
  return (await client.send(command)).Rotations ?? [];
}

describe("a key of origin EXTERNAL", () => {
  it("waits for its material, and is enabled by it", async () => {
    const key = await newKey();
    const waiting = await metadataOf(key);
    expect(waiting).toMatchObject({ Origin: "EXTERNAL", KeyState: "PendingImport", Enabled: false });
    expect(waiting).not.toHaveProperty("ExpirationModel");
    expect(waiting).not.toHaveProperty("CurrentKeyMaterialId");
    expect(await errorOf(encrypt(key))).toEqual({
      name: "KMSInvalidStateException",
      message: `${key} is pending import.`,
    });
    const { $metadata: _, ...answer } = await importInto(key, randomBytes(32));
    expect(answer).toEqual({ KeyId: key, KeyMaterialId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    const { KeyMaterialId: CurrentKeyMaterialId } = answer;
    expect(await metadataOf(key)).toMatchObject({
      ...FOR_GOOD,
      KeyState: "Enabled",
      Enabled: true,
      CurrentKeyMaterialId,
    });
    expect((await decrypt(await encrypt(key))).Plaintext).toEqual(Plaintext);
  });

  it("has a material id that no operation of the key computes", () => {
    const secret = randomBytes(32);
    const key = { keyId: "1234abcd-12ab-34cd-56ef-1234567890ab", keySpec: "HMAC_256" } as KmsKey;
    const { id } = importedMaterial(key, new Uint8Array(secret));
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(id).toBe(importedMaterial(key, new Uint8Array(secret)).id);
    expect(id).not.toBe(createHmac("sha256", secret).update(key.keyId).digest("hex"));
    expect(id).not.toBe(importedMaterial({ ...key, keyId: "another" }, new Uint8Array(secret)).id);
  });

  it("is without it after its deletion, remembers its id, and takes the same again", async () => {
    const [key, material] = [await newKey(), randomBytes(32)];
    const { KeyMaterialId } = await importInto(key, material);
    const sealed = await encrypt(key);
    const { $metadata: _, ...answer } = await remove(key);
    expect(answer).toEqual({ KeyId: key, KeyMaterialId });
    const waiting = await metadataOf(key);
    expect(waiting).toMatchObject({ KeyState: "PendingImport", CurrentKeyMaterialId: KeyMaterialId });
    expect(waiting).not.toHaveProperty("ExpirationModel");
    expect(await errorOf(decrypt(sealed))).toEqual({
      name: "KMSInvalidStateException",
      message: `${key} is pending import.`,
    });
    expect(await errorNameOf(importInto(key, randomBytes(32)))).toBe("IncorrectKeyMaterialException");
    expect((await importInto(key, material)).KeyMaterialId).toBe(KeyMaterialId);
    expect((await decrypt(sealed)).Plaintext).toEqual(Plaintext);
  });

  it("loses it at its date, and not before", async () => {
    const [key, material] = [await newKey(), randomBytes(32)];
    const ValidTo = new Date(clock().getTime() + DAY);
    await importInto(key, material, { ValidTo });
    expect(await metadataOf(key)).toMatchObject({ ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo });
    const sealed = await encrypt(key);
    pass(DAY - 1);
    expect((await decrypt(sealed)).Plaintext).toEqual(Plaintext);
    pass(1);
    expect(await errorNameOf(decrypt(sealed))).toBe("KMSInvalidStateException");
    expect((await metadataOf(key)).KeyState).toBe("PendingImport");
    await importInto(key, material);
    pass(365 * DAY);
    expect((await decrypt(sealed)).Plaintext).toEqual(Plaintext);
  });

  it("stays disabled when its material is renewed, and pending deletion when it is deleted", async () => {
    const [key, material] = [await newKey(), randomBytes(32)];
    await importInto(key, material);
    await client.send(new DisableKeyCommand({ KeyId: key }));
    await importInto(key, material);
    expect((await metadataOf(key)).KeyState).toBe("Disabled");
    await client.send(new ScheduleKeyDeletionCommand({ KeyId: key }));
    await remove(key);
    expect((await metadataOf(key)).KeyState).toBe("PendingDeletion");
    for (const attempt of [() => parametersFor(key), () => importInto(key, material)]) {
      expect(await errorOf(attempt())).toEqual({
        name: "KMSInvalidStateException",
        message: `${key} is pending deletion.`,
      });
    }
    await client.send(new CancelKeyDeletionCommand({ KeyId: key }));
    expect((await metadataOf(key)).KeyState).toBe("PendingImport");
  });
});

describe("wrapping", () => {
  const symmetric: readonly Wrapping[] = [
    { algorithm: "RSAES_OAEP_SHA_1", spec: "RSA_2048" },
    { algorithm: "RSAES_OAEP_SHA_256", spec: "RSA_4096" },
  ];

  it.each(symmetric)("by $algorithm under $spec brings a symmetric key", async (wrapping) => {
    const key = await newKey();
    await importInto(key, randomBytes(32), FOR_GOOD, wrapping);
    expect((await decrypt(await encrypt(key))).Plaintext).toEqual(Plaintext);
  });

  it.each([
    ["HMAC_224", 28, "HMAC_SHA_224", "sha224"],
    ["HMAC_256", 32, "HMAC_SHA_256", "sha256"],
    ["HMAC_384", 48, "HMAC_SHA_384", "sha384"],
    ["HMAC_512", 64, "HMAC_SHA_512", "sha512"],
  ] as const)("brings an %s key of %i bytes that makes the same MACs", async (spec, length, MacAlgorithm, hash) => {
    const [key, material] = [await newKey(spec, "GENERATE_VERIFY_MAC"), randomBytes(length)];
    expect(await errorNameOf(importInto(key, randomBytes(length - 1)))).toBe("IncorrectKeyMaterialException");
    expect(await importInto(key, material)).not.toHaveProperty("KeyMaterialId");
    const { Mac } = await client.send(new GenerateMacCommand({ KeyId: key, Message: Plaintext, MacAlgorithm }));
    expect(Buffer.from(Mac ?? [])).toEqual(createHmac(hash, material).update(Plaintext).digest());
  });

  it.each([
    ["ECC_NIST_P256", "RSAES_OAEP_SHA_256", "RSA_2048"],
    ["ECC_NIST_P384", "RSAES_OAEP_SHA_1", "RSA_2048"],
    ["ECC_NIST_P521", "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"],
    ["ECC_NIST_P521", "RSAES_OAEP_SHA_256", "RSA_3072"],
    ["ECC_SECG_P256K1", "RSA_AES_KEY_WRAP_SHA_1", "RSA_2048"],
    ["ECC_NIST_EDWARDS25519", "RSAES_OAEP_SHA_256", "RSA_2048"],
    ["ML_DSA_44", "RSAES_OAEP_SHA_256", "RSA_2048"],
    ["RSA_2048", "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"],
    ["RSA_2048", "RSA_AES_KEY_WRAP_SHA_1", "RSA_2048"],
  ] as const)("brings an %s key pair by %s under %s", async (keySpec, algorithm, spec) => {
    const [key, pair] = [await newKey(keySpec, "SIGN_VERIFY"), await newKeyPair(keySpec)];
    await importInto(key, encodePrivateKey(pair), FOR_GOOD, { algorithm, spec });
    const { PublicKey = new Uint8Array() } = await client.send(new GetPublicKeyCommand({ KeyId: key }));
    if (pair.kind === "lattice") expect(Buffer.from(PublicKey).includes(Buffer.from(pair.publicKey))).toBe(true);
    else {
      const imported = createPublicKey({ key: Buffer.from(PublicKey), format: "der", type: "spki" });
      expect(imported.equals(pair.publicKey)).toBe(true);
    }
    const other = encodePrivateKey(await newKeyPair(keySpec));
    const again = importInto(key, other, FOR_GOOD, { algorithm, spec });
    expect(await errorNameOf(again)).toBe("IncorrectKeyMaterialException");
  });

  it.each([
    ["SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "RSA_AES_KEY_WRAP_SHA_256", "RSA_3072"],
    ["RSA_2048", "SIGN_VERIFY", "RSAES_OAEP_SHA_256", "RSA_4096"],
    ["ECC_NIST_P521", "SIGN_VERIFY", "RSAES_OAEP_SHA_1", "RSA_2048"],
  ] as const)("refuses for %s (%s) to wrap by %s under %s", async (keySpec, usage, algorithm, spec) => {
    expect(await errorOf(parametersFor(await newKey(keySpec, usage), { algorithm, spec }))).toEqual({
      name: "ValidationException",
      message: `Wrapping algorithm ${algorithm} and wrapping key spec ${spec} cannot be used to import a ${keySpec} key.`,
    });
  });

  it.each<Wrapping>([{ algorithm: "RSAES_PKCS1_V1_5" }, { algorithm: "SM2PKE", spec: "SM2" }])(
    "does not offer %o",
    async (wrapping) => {
      expect(await errorNameOf(parametersFor(await newKey(), wrapping))).toBe("UnsupportedOperationException");
    },
  );

  it("of what is no such key pair is refused", async () => {
    const key = await newKey("ECC_NIST_P256", "SIGN_VERIFY");
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
    for (const material of [privateKey.export({ type: "pkcs8", format: "der" }), randomBytes(32)]) {
      expect(await errorNameOf(importInto(key, material))).toBe("IncorrectKeyMaterialException");
    }
  });
});

describe("an import token", () => {
  async function attempt(change: (baseline: ImportKeyMaterialCommand["input"]) => object, key?: string) {
    const KeyId = key ?? (await newKey());
    const { ImportToken, PublicKey = new Uint8Array() } = await parametersFor(KeyId);
    const EncryptedKeyMaterial = wrapMaterial("RSAES_OAEP_SHA_256", PublicKey, randomBytes(32));
    const command = new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...FOR_GOOD });
    Object.assign(command.input, change(command.input));
    return client.send(command);
  }

  const flipped = (bytes: Uint8Array | undefined, at: number) =>
    Uint8Array.from(bytes ?? [], (byte, index) => (index === at ? byte ^ 1 : byte));

  it("works as given, and has its 24 hours in the answer", async () => {
    expect(await errorNameOf(attempt(() => ({})))).toBe("no error");
    const key = await newKey();
    expect(await parametersFor(key)).toMatchObject({
      KeyId: key,
      ParametersValidTo: new Date(clock().getTime() + DAY),
    });
  });

  it.each([
    [
      "damaged in front",
      "InvalidImportTokenException",
      ({ ImportToken }) => ({ ImportToken: flipped(ImportToken, 0) }),
    ],
    ["damaged inside", "InvalidImportTokenException", ({ ImportToken }) => ({ ImportToken: flipped(ImportToken, 99) })],
    ["of nobody", "InvalidImportTokenException", () => ({ ImportToken: Uint8Array.of(1) })],
    [
      "with damaged material",
      "InvalidCiphertextException",
      ({ EncryptedKeyMaterial: sealed }) => ({ EncryptedKeyMaterial: flipped(sealed, 200) }),
    ],
  ] satisfies [string, string, (input: ImportKeyMaterialCommand["input"]) => object][])(
    "%s: %s",
    async (_, name, change) => {
      expect(await errorNameOf(attempt(change))).toBe(name);
    },
  );

  it("says when the material is too long or too short for the wrapping key", async () => {
    for (const EncryptedKeyMaterial of [randomBytes(255), randomBytes(257)]) {
      expect(await errorOf(attempt(() => ({ EncryptedKeyMaterial })))).toEqual({
        name: "ValidationException",
        message: "Invalid encrypted key size.",
      });
    }
  });

  it("is for its own key alone", async () => {
    const { ImportToken } = await parametersFor(await newKey());
    expect(await errorNameOf(attempt(() => ({ ImportToken })))).toBe("InvalidImportTokenException");
  });

  it("can be used again, and ends after 24 hours", async () => {
    const KeyId = await newKey();
    const { ImportToken, PublicKey = new Uint8Array() } = await parametersFor(KeyId);
    const EncryptedKeyMaterial = wrapMaterial("RSAES_OAEP_SHA_256", PublicKey, randomBytes(32));
    const use = () =>
      client.send(new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ...FOR_GOOD }));
    await use();
    pass(24 * HOUR - 1);
    await use();
    pass(1);
    expect(await errorNameOf(use())).toBe("ExpiredImportTokenException");
  });
});

describe("ImportKeyMaterial", () => {
  const day = (days: number) => new Date(clock().getTime() + days * DAY);

  it("wants a date exactly if the material expires, within a year", async () => {
    const key = await newKey();
    const attempt = (terms: object) => errorOf(importInto(key, randomBytes(32), terms));
    expect(await attempt({})).toEqual({
      name: "ValidationException",
      message: "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
    });
    for (const terms of [{ ...FOR_GOOD, ValidTo: day(1) }, { ValidTo: day(0) }, { ValidTo: day(366) }]) {
      expect((await attempt(terms)).name).toBe("ValidationException");
    }
    expect(await attempt({ ValidTo: day(365) })).toEqual({ name: "no error", message: "" });
  });

  it("refuses keys of KMS's own material in AWS's words", async () => {
    const key = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
    for (const attempt of [() => parametersFor(key), () => remove(key)]) {
      expect(await errorOf(attempt())).toEqual({
        name: "UnsupportedOperationException",
        message: `${key} origin is AWS_KMS which is not valid for this operation.`,
      });
    }
  });

  it("tells policies how material is wrapped and when it expires", async () => {
    const key = await newKey();
    const deny = async (Action: string, Condition: object) => {
      const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
      const Policy = JSON.stringify({
        Version: "2012-10-17",
        Statement: [open, { ...open, Effect: "Deny", Action, Condition }],
      });
      await client.send(new PutKeyPolicyCommand({ KeyId: key, Policy }));
    };
    const parameters = (wrapping?: Wrapping) => errorNameOf(parametersFor(key, wrapping));
    await deny("kms:GetParametersForImport", { StringEquals: { "kms:WrappingAlgorithm": "RSAES_OAEP_SHA_1" } });
    expect(await parameters({ algorithm: "RSAES_OAEP_SHA_1" })).toBe("AccessDeniedException");
    expect(await parameters()).toBe("no error");
    await deny("kms:GetParametersForImport", { StringEquals: { "kms:WrappingKeySpec": "RSA_2048" } });
    expect(await parameters()).toBe("AccessDeniedException");
    const attempt = (terms?: object) => errorNameOf(importInto(key, new Uint8Array(32).fill(7), terms));
    await deny("kms:ImportKeyMaterial", { StringEquals: { "kms:ExpirationModel": FOR_GOOD.ExpirationModel } });
    expect(await attempt()).toBe("AccessDeniedException");
    expect(await attempt({ ValidTo: day(2) })).toBe("no error");
    await deny("kms:ImportKeyMaterial", { DateGreaterThan: { "kms:ValidTo": day(3).toISOString() } });
    expect(await attempt({ ValidTo: day(4) })).toBe("AccessDeniedException");
    expect(await attempt({ ValidTo: day(2) })).toBe("no error");
    await deny("kms:ImportKeyMaterial", { StringEquals: { "kms:KeyOrigin": "EXTERNAL" } });
    expect(await attempt({ ValidTo: day(2) })).toBe("AccessDeniedException");
  });
});

describe("an imported key on a curve", () => {
  const KeyAgreementAlgorithm = "ECDH";
  /** SubjectPublicKeyInfo of P-256 whose point is the one at infinity (SEC 1 §2.3.3). */
  const INFINITY = Buffer.from("3019301306072a8648ce3d020106082a8648ce3d03010703020000", "hex");

  it("says where it comes from, and takes no point but its curve's", async () => {
    const pair = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const KeyId = await newKey("ECC_NIST_P256", "KEY_AGREEMENT");
    await importInto(KeyId, pair().privateKey.export({ type: "pkcs8", format: "der" }));
    const derive = (PublicKey: Uint8Array) =>
      client.send(new DeriveSharedSecretCommand({ KeyId, KeyAgreementAlgorithm, PublicKey }));
    const PublicKey = pair().publicKey.export({ type: "spki", format: "der" });
    expect((await derive(PublicKey)).KeyOrigin).toBe("EXTERNAL");
    const elsewhere = PublicKey.map((octet, at) => (at === PublicKey.length - 1 ? octet ^ 1 : octet));
    for (const wrong of [INFINITY, elsewhere]) {
      expect(await errorNameOf(derive(wrong))).toBe("ValidationException");
    }
  });
});

describe("a second material in a symmetric key", () => {
  const [one, two, three] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const NEW = { ...FOR_GOOD, ImportType: "NEW_KEY_MATERIAL" };
  let key: string;
  let first: string | undefined;

  beforeEach(async () => {
    key = await newKey();
    first = (await importInto(key, one, { ...NEW, KeyMaterialDescription: "the first" })).KeyMaterialId;
  });

  it("waits for a rotation, after which both decrypt and both are needed", async () => {
    const sealed = await encrypt(key);
    const second = (await importInto(key, two, NEW)).KeyMaterialId;
    const imported = { KeyId: key, ImportState: "IMPORTED", ...FOR_GOOD };
    expect(await materialsOf(key)).toEqual([
      { ...imported, KeyMaterialId: first, KeyMaterialState: "CURRENT", KeyMaterialDescription: "the first" },
      { ...imported, KeyMaterialId: second, KeyMaterialState: "PENDING_ROTATION" },
    ]);
    expect((await decrypt(await encrypt(key))).KeyMaterialId).toBe(first);
    await rotate(key);
    expect(await materialsOf(key)).toMatchObject([
      { KeyMaterialId: first, KeyMaterialState: "NON_CURRENT" },
      { KeyMaterialId: second, KeyMaterialState: "CURRENT", RotationType: "ON_DEMAND", RotationDate: clock() },
    ]);
    expect((await decrypt(await encrypt(key))).KeyMaterialId).toBe(second);
    expect(await decrypt(sealed)).toMatchObject({ Plaintext, KeyMaterialId: first });
    await remove(key, first);
    expect((await metadataOf(key)).KeyState).toBe("PendingImport");
    expect((await materialsOf(key))[0]).toMatchObject({ ImportState: "PENDING_IMPORT" });
    await importInto(key, one, { ...FOR_GOOD, KeyMaterialId: first });
    expect((await metadataOf(key)).KeyState).toBe("Enabled");
    expect((await materialsOf(key))[0]).toMatchObject({ ImportState: "IMPORTED", KeyMaterialDescription: "the first" });
  });

  it("can be taken away and replaced before its rotation; a third cannot come beside it", async () => {
    expect(await errorOf(rotate(key))).toEqual({
      name: "KMSInvalidStateException",
      message: `No available key material pending rotation for the key: ${key}.`,
    });
    const second = (await importInto(key, two, NEW)).KeyMaterialId;
    const refused = await errorOf(importInto(key, three, NEW));
    expect(refused.name).toBe("KMSInvalidStateException");
    expect(refused.message).toMatch(
      new RegExp(
        `^New key material \\(id: [0-9a-f]{64}\\) cannot be imported into KMS key ${key}, because another key material \\(id: ${second}\\) is pending rotation\\.$`,
      ),
    );
    await remove(key, second);
    expect(await metadataOf(key)).toMatchObject({ KeyState: "Enabled" });
    expect(await materialsOf(key)).toHaveLength(1);
    await importInto(key, three, NEW);
    expect(await materialsOf(key)).toHaveLength(2);
  });

  it("cannot be taken away under an id that the key does not have", async () => {
    expect(await errorNameOf(remove(key, "0".repeat(64)))).toBe("NotFoundException");
  });

  it("expires without stopping the key", async () => {
    await importInto(key, two, { ImportType: "NEW_KEY_MATERIAL", ValidTo: new Date(clock().getTime() + DAY) });
    pass(DAY);
    expect((await metadataOf(key)).KeyState).toBe("Enabled");
    expect(await materialsOf(key)).toHaveLength(1);
  });

  it.each<[string, Uint8Array, object, string]>([
    ["known material as new", one, NEW, "IncorrectKeyMaterialException"],
    ["unknown material as known", two, FOR_GOOD, "IncorrectKeyMaterialException"],
    ["another material's id", one, { ...FOR_GOOD, KeyMaterialId: "0".repeat(64) }, "IncorrectKeyMaterialException"],
    ["an id for new material", two, { ...NEW, KeyMaterialId: "0".repeat(64) }, "ValidationException"],
    ["31 bytes", randomBytes(31), NEW, "IncorrectKeyMaterialException"],
  ])("is not imported with %s", async (_, material, terms, name) => {
    expect(await errorNameOf(importInto(key, material, terms))).toBe(name);
  });

  it("has another id in another key", async () => {
    expect((await importInto(await newKey(), one)).KeyMaterialId).not.toBe(first);
  });
});
