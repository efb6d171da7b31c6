/** What a KMS keeps in a data folder: everything it acknowledged, and no key in the clear. */
import { createHash, createSecretKey, generateKeyPairSync, KeyObject, randomBytes, randomUUID } from "node:crypto";
import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { CreateKeyCommandInput, KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetKeyPolicyCommand,
  GetParametersForImportCommand,
  GetPublicKeyCommand,
  ImportKeyMaterialCommand,
  ListGrantsCommand,
  PutKeyPolicyCommand,
  RevokeGrantCommand,
  SignCommand,
  VerifyCommand,
} from "@aws-sdk/client-kms";
import { describe, expect, it, onTestFinished } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { KmsOptions } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { compileKeyPolicy } from "../../../simulator/iam/policy/compile.js";
import { openDataFolder } from "../../../simulator/kms/data-folder.js";
import type { KmsKey } from "../../../simulator/kms/key.js";
import type { KeyMaterial } from "../../../simulator/kms/key-material.js";
import { latticeMaterial } from "../../../simulator/kms/lattice-keys.js";
import { firstMaterial } from "../../../simulator/kms/material-record.js";
import { defaultKeyPolicy } from "../../../simulator/kms/operations/policy-documents.js";
import { MasterKey } from "../../../simulator/storage/master-key.js";
import { openRepository } from "../../../simulator/storage/repository.js";
import { testFolder } from "../../support/folder.js";
import { errorNameOf, kmsClient } from "../../support/simulated-kms.js";
import { wrapMaterial } from "../../support/wrapped-material.js";
import { clockAt, DAY, NOW, SECOND } from "../fixtures.js";

const clock = clockAt();
const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
const operatorAccessKey = { accessKeyId: "AKIAOPERATOR", secretAccessKey: "operator" };
const Plaintext = utf8("plaintext");
const FOR_GOOD = "KEY_MATERIAL_DOES_NOT_EXPIRE" as const;

async function started(folder: string, options: Partial<KmsOptions> = {}) {
  const kms = await startKms({ trustAnchor, clock, operatorAccessKey, data: { folder }, ...options });
  const client = kmsClient(kms, clock);
  const close = async (): Promise<void> => {
    client.destroy();
    await kms.close();
  };
  onTestFinished(close);
  return { kms, client, close };
}

/** What a client can see of a key and can do with it. */
async function observed(client: KMSClient, KeyId: string) {
  const { KeyMetadata } = await client.send(new DescribeKeyCommand({ KeyId }));
  const { Policy } = await client.send(new GetKeyPolicyCommand({ KeyId: KeyMetadata?.KeyId }));
  return { KeyMetadata, Policy };
}

const exported = (value: unknown): unknown => (value instanceof KeyObject ? value.export({ format: "jwk" }) : value);

describe("a KMS with a data folder", () => {
  it("has after a restart what it had before", async () => {
    const folder = join(testFolder(), "data");
    const first = await started(folder);
    const create = async (input: CreateKeyCommandInput) =>
      (await first.client.send(new CreateKeyCommand(input))).KeyMetadata?.Arn ?? "";
    const symmetric = await create({ Description: "é", Tags: [{ TagKey: "project", TagValue: "a:b" }] });
    const mac = await create({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    const rsa = await create({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    await first.client.send(new CreateAliasCommand({ AliasName: "alias/a", TargetKeyId: symmetric }));
    const { Policy } = await first.client.send(new GetKeyPolicyCommand({ KeyId: mac }));
    await first.client.send(new PutKeyPolicyCommand({ KeyId: mac, Policy: `${Policy} ` }));
    const context = { EncryptionContext: { tenant: "a" } };
    const sealed = await first.client.send(new EncryptCommand({ KeyId: "alias/a", Plaintext, ...context }));
    const rsaSealed = await first.client.send(
      new EncryptCommand({ KeyId: rsa, Plaintext, EncryptionAlgorithm: "RSAES_OAEP_SHA_256" }),
    );
    const macInput = { KeyId: mac, Message: Plaintext, MacAlgorithm: "HMAC_SHA_256" as const };
    const { Mac } = await first.client.send(new GenerateMacCommand(macInput));
    const { PublicKey } = await first.client.send(new GetPublicKeyCommand({ KeyId: rsa }));
    await first.client.send(new DisableKeyCommand({ KeyId: mac }));
    const before = await Promise.all([symmetric, mac, rsa, "alias/a"].map((key) => observed(first.client, key)));
    await first.close();

    const { client } = await started(folder);
    expect(await Promise.all([symmetric, mac, rsa, "alias/a"].map((key) => observed(client, key)))).toEqual(before);
    const { CiphertextBlob } = sealed;
    expect((await client.send(new DecryptCommand({ CiphertextBlob, ...context }))).Plaintext).toEqual(Plaintext);
    const opened = await client.send(
      new DecryptCommand({
        CiphertextBlob: rsaSealed.CiphertextBlob,
        KeyId: rsa,
        EncryptionAlgorithm: "RSAES_OAEP_SHA_256",
      }),
    );
    expect(opened.Plaintext).toEqual(Plaintext);
    expect((await client.send(new GetPublicKeyCommand({ KeyId: rsa }))).PublicKey).toEqual(PublicKey);
    expect(await errorNameOf(client.send(new GenerateMacCommand(macInput)))).toBe("DisabledException");
    expect(Mac).toHaveLength(32);
  });

  it.each([
    ["ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"],
    ["ECC_SECG_P256K1", "SIGN_VERIFY", "ECDSA_SHA_256"],
    ["ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "ED25519_SHA_512"],
    ["RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"],
    ["ML_DSA_44", "SIGN_VERIFY", "ML_DSA_SHAKE_256"],
  ] as const)("keeps a key pair of %s", async (KeySpec, KeyUsage, SigningAlgorithm) => {
    const folder = join(testFolder(), "data");
    const first = await started(folder);
    const { KeyMetadata } = await first.client.send(new CreateKeyCommand({ KeySpec, KeyUsage }));
    const input = { KeyId: KeyMetadata?.KeyId, SigningAlgorithm, Message: Plaintext };
    const { Signature } = await first.client.send(new SignCommand(input));
    const { PublicKey } = await first.client.send(new GetPublicKeyCommand(input));
    await first.close();
    const { client } = await started(folder);
    expect((await client.send(new GetPublicKeyCommand(input))).PublicKey).toEqual(PublicKey);
    const again = await client.send(new SignCommand(input));
    for (const signature of [Signature, again.Signature]) {
      const { SignatureValid } = await client.send(new VerifyCommand({ ...input, Signature: signature }));
      expect(SignatureValid).toBe(true);
    }
  });

  it("takes after an end without warning the import tokens that it gave before, for 24 hours", async () => {
    const folder = join(testFolder(), "data");
    const first = await started(folder);
    const { KeyMetadata } = await first.client.send(new CreateKeyCommand({ Origin: "EXTERNAL" }));
    const KeyId = KeyMetadata?.Arn ?? "";
    const wrapping = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const;
    const given = await first.client.send(new GetParametersForImportCommand({ KeyId, ...wrapping }));
    const { ImportToken, PublicKey = new Uint8Array() } = given;
    const copy = join(testFolder(), "data"); // as a process that was killed leaves it
    cpSync(folder, copy, { recursive: true, filter: (path) => !path.includes("lock") });
    cpSync(`${folder}.master-key`, `${copy}.master-key`);

    const later = clockAt();
    const EncryptedKeyMaterial = wrapMaterial(wrapping.WrappingAlgorithm, PublicKey, randomBytes(32));
    const command = { KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel: FOR_GOOD };
    later.advance(DAY - SECOND);
    const second = await started(copy, { clock: later });
    const inTime = kmsClient(second.kms, later);
    await inTime.send(new ImportKeyMaterialCommand(command));
    expect((await inTime.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.KeyState).toBe("Enabled");
    inTime.destroy();
    later.advance(SECOND);
    const late = kmsClient(second.kms, later);
    expect(await errorNameOf(late.send(new ImportKeyMaterialCommand(command)))).toBe("ExpiredImportTokenException");
    late.destroy();

    const other = await started(join(testFolder(), "data"));
    expect(await errorNameOf(other.client.send(new ImportKeyMaterialCommand(command)))).toBe("NotFoundException");
    const own = (await other.client.send(new CreateKeyCommand({ Origin: "EXTERNAL" }))).KeyMetadata?.Arn;
    const foreign = other.client.send(new ImportKeyMaterialCommand({ ...command, KeyId: own }));
    expect(await errorNameOf(foreign)).toBe("InvalidImportTokenException");
  });

  it("keeps grants, whose tokens stay good, and forgets those that were revoked", async () => {
    const folder = join(testFolder(), "data");
    const first = await started(folder);
    const { KeyMetadata } = await first.client.send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata?.Arn;
    const grant = {
      ...{ KeyId, GranteePrincipal: "arn:aws:iam::111122223333:user/alice" },
      Operations: ["Encrypt" as const],
      Constraints: { EncryptionContextSubset: { $date: "a" } },
    };
    const { GrantToken = "" } = await first.client.send(new CreateGrantCommand({ ...grant, Name: "kept" }));
    const { GrantId } = await first.client.send(new CreateGrantCommand({ ...grant, Name: "revoked" }));
    await first.client.send(new RevokeGrantCommand({ KeyId, GrantId }));
    const before = (await first.client.send(new ListGrantsCommand({ KeyId }))).Grants;
    await first.close();

    const { kms, client } = await started(folder);
    const after = (await client.send(new ListGrantsCommand({ KeyId }))).Grants;
    expect(after).toEqual(before);
    expect(after?.map(({ Name }) => Name)).toEqual(["kept"]);
    const alice = kmsClient(kms, clock, kms.principals.addUser({ name: "alice" }));
    const input = { KeyId, Plaintext, EncryptionContext: { $date: "a" } };
    expect(await errorNameOf(alice.send(new EncryptCommand({ ...input, GrantTokens: [GrantToken] })))).toBe("no error");
    const { EncryptionContext: _, ...without } = input;
    expect(await errorNameOf(alice.send(new EncryptCommand(without)))).toBe("AccessDeniedException");
    alice.destroy();
  });

  it("has everything that was acknowledged, at whichever byte its log ends", async () => {
    const root = testFolder();
    const folder = join(root, "data");
    const { client, close } = await started(folder);
    const acknowledged: { readonly bytes: number; readonly keys: number; readonly aliases: number }[] = [];
    const log = join(folder, "state.log");
    const state = { keys: 0, aliases: 0 };
    const acknowledge = () => acknowledged.push({ bytes: statSync(log).size, ...state });
    acknowledge();
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    state.keys += 1;
    acknowledge();
    await client.send(new CreateAliasCommand({ AliasName: "alias/a", TargetKeyId: KeyMetadata?.KeyId }));
    state.aliases += 1;
    acknowledge();
    await close();
    const whole = readFileSync(log);
    for (let length = acknowledged[0]?.bytes ?? 0; length <= whole.length; length++) {
      writeFileSync(log, whole.subarray(0, length));
      const data = await openDataFolder({ folder });
      const kinds = [...data.changes()].map(({ kind }) => kind);
      await data.close();
      const last = acknowledged.filter(({ bytes }) => bytes <= length).at(-1);
      expect(kinds.filter((kind) => kind === "key")).toHaveLength(last?.keys ?? -1);
      expect(kinds.filter((kind) => kind === "alias")).toHaveLength(last?.aliases ?? -1);
    }
  });
});

describe("a KMS that is closed in the midst of calls", () => {
  it("leaves a folder that opens, with what it acknowledged", async () => {
    const folder = join(testFolder(), "data");
    const errors: unknown[] = [];
    const { client, kms, close } = await started(folder, { onInternalError: (error) => errors.push(error) });
    await client.send(new CreateKeyCommand({}));
    const input = { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" } as const;
    const calls = Array.from({ length: 4 }, () => client.send(new CreateKeyCommand(input)));
    const settled = Promise.allSettled(calls);
    while (kms.auditLog.records.length < 2) await new Promise(setImmediate); // one is answered, others are under way
    await close();
    await settled;
    expect(errors).toEqual([]);
    const data = await openDataFolder({ folder });
    const kinds = [...data.changes()].map(({ kind }) => kind);
    await data.close();
    expect(kinds.length).toBeGreaterThanOrEqual(2);
  });
});

describe("the master key", () => {
  it("lies beside the folder, for its owner alone", async () => {
    const folder = join(testFolder(), "data");
    const { close } = await started(folder);
    await close();
    expect(statSync(`${folder}.master-key`).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it("is not taken from a file that others can read, a missing one or another one, or from within the folder", async () => {
    const folder = join(testFolder(), "data");
    const file = `${folder}.master-key`;
    await (await started(folder)).close();
    const open = (masterKeyFile?: string) => openDataFolder({ folder, ...(masterKeyFile ? { masterKeyFile } : {}) });
    await (await open()).close();
    chmodSync(file, 0o640);
    await expect(open()).rejects.toThrow(`the master key file ${file} is open to others (mode 640); make it 600`);
    chmodSync(file, 0o600);
    const key = readFileSync(file);
    writeFileSync(file, `nitro-decrypt master key 1: ${randomBytes(32).toString("base64")}\n`);
    await expect(open()).rejects.toThrow(
      `commit 1 of ${join(folder, "state.log")} was not written under this master key`,
    );
    writeFileSync(file, "something else");
    await expect(open()).rejects.toThrow(`${file} is not a master key file of nitro-decrypt`);
    rmSync(file);
    await expect(open()).rejects.toThrow(
      `the master key file ${file} is missing: put it back, or name it with --master-key. Without it`,
    );
    await expect(open(join(folder, "key"))).rejects.toThrow("lies in the data folder");
    writeFileSync(file, key, { mode: 0o600 });
    await (await open()).close();
  });

  it("is not taken from within the folder through a symbolic link", async () => {
    const root = testFolder();
    const folder = join(root, "data");
    const masterKeyFile = join(root, "link", "key");
    mkdirSync(folder, { mode: 0o700 });
    symlinkSync(folder, join(root, "link"));
    await expect(openDataFolder({ folder, masterKeyFile })).rejects.toThrow(
      `the master key file ${masterKeyFile} lies in the data folder`,
    );
    symlinkSync(join(folder, "key"), join(root, "key"));
    writeFileSync(join(folder, "key"), "");
    await expect(openDataFolder({ folder, masterKeyFile: join(root, "key") })).rejects.toThrow(
      "lies in the data folder",
    );
  });

  it("has one name, even if a crash left it another", async () => {
    const root = testFolder();
    const folder = join(root, "data");
    await (await openDataFolder({ folder })).close();
    const draft = `${folder}.master-key.${randomUUID()}`;
    linkSync(`${folder}.master-key`, draft);
    writeFileSync(`${folder}.master-key.old`, "another file");
    await (await openDataFolder({ folder })).close();
    expect(readdirSync(root).sort()).toEqual(["data", "data.master-key", "data.master-key.old"]);
  });

  it("keeps material out of the folder, whichever key it is of", async () => {
    const folder = join(testFolder(), "data");
    const secret = randomBytes(32);
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const id = createHash("sha256").update("id").digest("hex");
    const key = (keyId: string, material: KeyMaterial): KmsKey => {
      const arn = `arn:aws:kms:us-east-1:111122223333:key/${keyId}`;
      return {
        ...{ keyId, arn, accountId: "111122223333", creationDate: NOW, state: "Enabled", keyUsage: "ENCRYPT_DECRYPT" },
        ...{ description: "in the clear", tags: new Map([["$map", "x"]]), keySpec: "SYMMETRIC_DEFAULT" },
        ...{ origin: "AWS_KMS", materials: [firstMaterial(id, material)] },
        policy: compileKeyPolicy(defaultKeyPolicy(arn)),
      };
    };
    const keys = [
      key("00000000-0000-0000-0000-000000000001", { kind: "symmetric", id, secret: createSecretKey(secret) }),
      key("00000000-0000-0000-0000-000000000002", { kind: "mac", secret: createSecretKey(secret) }),
      key("00000000-0000-0000-0000-000000000003", { kind: "asymmetric", privateKey, publicKey }),
      key("00000000-0000-0000-0000-000000000004", latticeMaterial("ML_DSA_44", new Uint8Array(secret))),
    ];
    const first = await openDataFolder({ folder });
    for (const one of keys) first.record({ kind: "key", key: one });
    await first.close();

    const second = await openDataFolder({ folder });
    const read = [...second.changes()].flatMap((change) => (change.kind === "key" ? [change.key] : []));
    await second.close();
    const comparable = ({ policy, materials, ...rest }: KmsKey) => ({
      ...rest,
      policy: policy.text,
      materials: materials.map(({ material = {}, ...record }) => ({
        ...record,
        material: Object.entries(material).map(([name, value]) => [name, exported(value)]),
      })),
    });
    expect(read.map(comparable)).toEqual(keys.map(comparable));

    const content = Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));
    const scalar = Buffer.from(privateKey.export({ format: "jwk" }).d ?? "", "base64url");
    const holds = (bytes: Buffer): boolean =>
      [bytes, bytes.toString("base64"), bytes.subarray(0, 30).toString("base64"), bytes.toString("hex")].some((form) =>
        content.includes(form),
      );
    expect(holds(Buffer.from("in the clear"))).toBe(true);
    expect(holds(Buffer.from(id, "hex"))).toBe(true);
    expect(holds(publicKey.export({ type: "spki", format: "der" }))).toBe(true);
    expect(holds(secret)).toBe(false);
    expect(holds(scalar)).toBe(false);
  });

  it("does not open material that was put under another key", async () => {
    const folder = join(testFolder(), "data");
    const { client, close } = await started(folder);
    const ids: string[] = [];
    for (let i = 0; i < 2; i++) ids.push((await client.send(new CreateKeyCommand({}))).KeyMetadata?.KeyId ?? "");
    await close();
    const copy = `${folder}-copy`;
    cpSync(folder, copy, { recursive: true });
    for (const path of [copy, join(copy, "audit")]) chmodSync(path, 0o700); // Node 24 copies no modes of folders
    cpSync(`${folder}.master-key`, `${copy}.master-key`);
    const [from = "", to = ""] = ids;
    const repository = await openRepository(copy, { masterKey: () => MasterKey.read(`${copy}.master-key`) });
    const records = repository.takeEntries("key");
    const arnOf = (keyId: string) => `arn:aws:kms:us-east-1:111122223333:key/${keyId}`;
    repository.put("key", arnOf(to), records.get(arnOf(from)) ?? null);
    await repository.close();
    const data = await openDataFolder({ folder: copy });
    expect(() => [...data.changes()]).toThrow("a wrapped key does not open under this master key");
    await data.close();
    const untouched = await openDataFolder({ folder });
    expect([...untouched.changes()]).toHaveLength(2);
    await untouched.close();
  });
});
