/**
 * The key policy of docs/branch-keys.md, before a KMS that evaluates it: administrators make branch keys that they cannot
 * read, the enclave opens them, and nobody can make one that he knows (PITFALLS 1, 3, 23).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  PutKeyPolicyCommand,
  ReEncryptCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pcr16OfConfiguration } from "../../../../shared/attestation/pcr.js";
import { toBase64, toHex, utf8 } from "../../../../shared/bytes.js";
import { folderKeyStore, LOGICAL_NAME, makeBranchKeys, officialKeyStore, TABLE } from "../../../support/key-store.js";
import { projectRoot } from "../../../support/project.js";
import { errorNameOf } from "../../../support/simulated-kms.js";
import type { Kms } from "../../stack.js";
import { clientOf, configurationOf, startKmsForTest, startStack } from "../../stack.js";

let kms: Kms;
let administrator: KMSClient;
let parent: KMSClient;

const configuration = (keyArn: string) => ({
  messages: {
    dataKeys: { kind: "branchKeys", keyId: keyArn, logicalKeyStoreName: LOGICAL_NAME, tableName: TABLE },
  },
});

beforeAll(async () => {
  kms = await startKmsForTest();
  const { simulation, operator, keyArn } = kms;
  const { accountId, kms: server } = simulation;
  administrator = clientOf(simulation, {
    credentials: server.principals.addUser({ name: "branch-key-administrator" }),
  });
  parent = clientOf(simulation, { credentials: simulation.roleCredentials });
  const measured = configurationOf(kms, { configuration: configuration(keyArn) });
  const pcr16 = toHex(await pcr16OfConfiguration(utf8(JSON.stringify(measured))));
  const role = (name: string): string => `arn:aws:iam::111122223333:role/${name}`;
  const policy = readFileSync(join(projectRoot, "docs/examples/branch-keys-key-policy.json"), "utf8")
    .replaceAll(role("KeyManagement"), `arn:aws:iam::${accountId}:user/operator`)
    .replaceAll(role("BranchKeyAdministration"), `arn:aws:iam::${accountId}:user/branch-key-administrator`)
    .replaceAll(role("EnclaveParent"), simulation.roleArn)
    .replace('"PCR16"', `"${pcr16}"`)
    .replace(/"PCR([012])"/g, (_, index) => `"${simulation.pcrs[Number(index)]}"`);
  await operator.send(new PutKeyPolicyCommand({ KeyId: keyArn, Policy: policy }));
});
afterAll(() => kms.simulation.close());

/** A key store with the branch key `a`, made by the administrator; its active record as KMS wants it. */
async function setUp() {
  const store = folderKeyStore();
  const options = { client: store.client, kmsClient: administrator, keyArn: kms.keyArn };
  await makeBranchKeys(options, "a");
  const [active] = (await store.folder.list("a")).filter((record) => record.type?.S === "branch:ACTIVE");
  const { enc, "hierarchy-version": _, ...texts } = active ?? {};
  const pairs = Object.entries(texts).map(([name, value]) => [name, String(value.S)]);
  const EncryptionContext: Record<string, string> = {
    ...Object.fromEntries(pairs),
    "hierarchy-version": "1",
    tablename: LOGICAL_NAME,
  };
  const CiphertextBlob = new Uint8Array(Buffer.from(String(enc?.B), "base64"));
  return { ...store, keyStore: officialKeyStore(options), CiphertextBlob, EncryptionContext };
}

const DENIED = "AccessDeniedException";

describe("the key policy for branch keys", () => {
  it("lets administrators make branch keys and versions, and the enclave open them", async () => {
    const { path, keyStore } = await setUp();
    await keyStore.versionKey({ branchKeyIdentifier: "a" });
    const branchKeys = { kind: "folder", path, table: TABLE } as const;
    const stack = await startStack(kms, { branchKeys, configuration: configuration(kms.keyArn) });
    const body = { plaintext: toBase64(utf8("secret")), encryptionContext: { tenant: "a" } };
    expect(await stack.json("POST", "/v1/messages/encrypt", body)).toMatchObject({ status: 200 });
  });

  it("lets no enclave with another configuration open them", async () => {
    const { path } = await setUp();
    const branchKeys = { kind: "folder", path, table: TABLE } as const;
    const changed = { ...configuration(kms.keyArn), limits: { maxEncryptedDataKeys: 5 } };
    const stack = await startStack(kms, { branchKeys, configuration: changed });
    const body = { plaintext: toBase64(utf8("secret")), encryptionContext: { tenant: "a" } };
    expect(await stack.json("POST", "/v1/messages/encrypt", body)).toMatchObject({ body: { code: "ERR_KMS_DENIED" } });
  });

  it("lets neither administrators nor the parent read one", async () => {
    const { CiphertextBlob, EncryptionContext } = await setUp();
    for (const client of [administrator, parent, kms.operator]) {
      const command = new DecryptCommand({ KeyId: kms.keyArn, CiphertextBlob, EncryptionContext });
      expect(await errorNameOf(client.send(command))).toBe(DENIED);
    }
  });

  it("lets nobody make one that he knows: neither Encrypt nor GenerateDataKey is given to anybody", async () => {
    const { EncryptionContext } = await setUp();
    for (const client of [administrator, parent, kms.operator]) {
      const Plaintext = new Uint8Array(32);
      const encrypt = new EncryptCommand({ KeyId: kms.keyArn, Plaintext, EncryptionContext });
      expect(await errorNameOf(client.send(encrypt))).toBe(DENIED);
      const generate = new GenerateDataKeyCommand({ KeyId: kms.keyArn, KeySpec: "AES_256", EncryptionContext });
      expect(await errorNameOf(client.send(generate))).toBe(DENIED);
    }
  });

  it("lets nobody bring one that he knows from a key of his own, nor take one there (PITFALLS 23)", async () => {
    const { CiphertextBlob, EncryptionContext } = await setUp();
    const { KeyMetadata } = await kms.operator.send(new CreateKeyCommand({}));
    const own = KeyMetadata?.Arn ?? "";
    const open = { Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" };
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [open] });
    await kms.operator.send(new PutKeyPolicyCommand({ KeyId: own, Policy }));
    const encrypt = new EncryptCommand({ KeyId: own, Plaintext: new Uint8Array(32), EncryptionContext });
    const known = await administrator.send(encrypt);
    const contexts = { SourceEncryptionContext: EncryptionContext, DestinationEncryptionContext: EncryptionContext };
    const bring = { CiphertextBlob: known.CiphertextBlob, SourceKeyId: own, DestinationKeyId: kms.keyArn };
    expect(await errorNameOf(administrator.send(new ReEncryptCommand({ ...contexts, ...bring })))).toBe(DENIED);
    const take = { CiphertextBlob, SourceKeyId: kms.keyArn, DestinationKeyId: own };
    expect(await errorNameOf(administrator.send(new ReEncryptCommand({ ...contexts, ...take })))).toBe(DENIED);
    const again = { CiphertextBlob, SourceKeyId: kms.keyArn, DestinationKeyId: kms.keyArn };
    expect(await errorNameOf(administrator.send(new ReEncryptCommand({ ...contexts, ...again })))).toBe("no error");
  });

  it("lets administrators make nothing but records of this key store", async () => {
    const { CiphertextBlob, EncryptionContext } = await setUp();
    const { "branch-key-id": _, ...withoutId } = EncryptionContext;
    for (const other of [{ tenant: "a" }, withoutId, { ...EncryptionContext, tablename: "another" }]) {
      const input = { KeyId: kms.keyArn, NumberOfBytes: 32, EncryptionContext: other };
      const generate = new GenerateDataKeyWithoutPlaintextCommand(input);
      expect(await errorNameOf(administrator.send(generate))).toBe(DENIED);
      const keys = { CiphertextBlob, SourceKeyId: kms.keyArn, DestinationKeyId: kms.keyArn };
      const contexts = { SourceEncryptionContext: EncryptionContext, DestinationEncryptionContext: other };
      expect(await errorNameOf(administrator.send(new ReEncryptCommand({ ...keys, ...contexts })))).toBe(DENIED);
    }
  });
});
