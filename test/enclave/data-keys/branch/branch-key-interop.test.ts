/**
 * Branch keys as everybody else has them: made by the official key store, in a folder and in an embedded DynamoDB, opened
 * inside a whole enclave by attested KMS, and used by the official keyring on the other side.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildClient, CommitmentPolicy } from "@aws-crypto/client-node";
import { DisableKeyCommand, EnableKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BranchKeyStore } from "../../../../parent/branch-key-store.js";
import { toBase64, utf8 } from "../../../../shared/bytes.js";
import {
  folderKeyStore,
  LOGICAL_NAME,
  makeBranchKeys,
  officialKeyring,
  officialKeyStore,
  putItems,
  startDynalite,
  TABLE,
} from "../../../support/key-store.js";
import { TestClock } from "../../fakes.js";
import type { Kms, Stack } from "../../stack.js";
import { messageOf, startKmsForTest, startStack } from "../../stack.js";

const PLAINTEXT = utf8("attack at dawn");
const CONTEXT = {
  tenant: "a",
  record: "7",
  "\uffee": "before \u{1f511} in UTF-8, after it in UTF-16",
  "\u{1f511}": "",
};
const OTHER_VERSION = "branch:version:11111111-2222-4333-8444-555555555555";
const SUITE = { unsigned: 0x0478, signed: 0x0578 };

let kms: Kms;
beforeAll(async () => {
  kms = await startKmsForTest();
  await kms.allow({ StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": kms.simulation.pcrs[0] } });
});
afterAll(() => kms.simulation.close());

const sdk = buildClient({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: 1,
});

const configurationFor = ({ keyArn }: Kms, logicalKeyStoreName = LOGICAL_NAME) => ({
  messages: {
    requiredPairs: ["tenant"],
    dataKeys: {
      ...{ kind: "branchKeys", keyId: keyArn, logicalKeyStoreName, tableName: TABLE },
      ...{ maxAgeSeconds: 60, capacity: 100 },
    },
  },
});

async function setUp({ dynamo = false, logicalName }: { dynamo?: boolean; logicalName?: string } = {}) {
  const store = folderKeyStore();
  const official = { client: store.client, kmsClient: kms.operator, keyArn: kms.keyArn };
  await makeBranchKeys(official, "a", "b");
  let branchKeys: BranchKeyStore = { kind: "folder", path: store.path, table: TABLE };
  if (dynamo) {
    const client = await startDynalite();
    await putItems(client, await store.folder.list());
    branchKeys = { kind: "dynamodb", client, table: TABLE };
  }
  const clock = new TestClock();
  const stack = await startStack(kms, { branchKeys, clock, configuration: configurationFor(kms, logicalName) });
  const keyStore = officialKeyStore({
    ...official,
    client: branchKeys.kind === "dynamodb" ? branchKeys.client : store.client,
  });
  return { ...store, clock, stack, keyStore, ...operationsOf(stack) };
}

function operationsOf(stack: Stack) {
  return {
    encrypt: async (encryptionContext: object = CONTEXT, signed = false) => {
      const body = { plaintext: toBase64(PLAINTEXT), encryptionContext, signed };
      return stack.json("POST", "/v1/messages/encrypt", body);
    },
    decrypt: (message: unknown) => stack.json("POST", "/v1/messages/decrypt", { message }),
  };
}

/** What of the enclave's calls is in the audit log, from `start` on. */
const decryptsSince = (start: number) =>
  kms.simulation.kms.auditLog.records
    .slice(start)
    .filter(({ eventName, additionalEventData }) => eventName === "Decrypt" && additionalEventData?.recipient);
const now = (): number => kms.simulation.kms.auditLog.records.length;

describe("branch keys in a whole enclave", () => {
  it.each([
    ["folder", false],
    ["DynamoDB table", true],
  ])("exchanges messages with the official SDK over a %s", async (_, dynamo) => {
    const { encrypt, decrypt, keyStore } = await setUp({ dynamo });
    const keyring = officialKeyring(keyStore, "a");
    const start = now();
    for (const signed of [false, true]) {
      const made = await encrypt(CONTEXT, signed);
      expect(made.status).toBe(200);
      const opened = await sdk.decrypt(keyring, Buffer.from(String(made.body.message), "base64"));
      expect(new Uint8Array(opened.plaintext)).toEqual(PLAINTEXT);
      const suiteId = signed ? SUITE.signed : SUITE.unsigned;
      const { result } = await sdk.encrypt(keyring, PLAINTEXT, { encryptionContext: CONTEXT, suiteId });
      expect(await decrypt(toBase64(result))).toMatchObject({
        status: 200,
        body: { plaintext: toBase64(PLAINTEXT), encryptionContext: CONTEXT },
      });
    }
    expect(decryptsSince(start)).toHaveLength(1);
  });

  it("shows KMS whose key it opens, and makes one call for many messages at once", async () => {
    const { encrypt } = await setUp();
    const start = now();
    const made = await Promise.all(Array.from({ length: 20 }, (_, i) => encrypt({ tenant: "a", record: `${i}` })));
    expect(made.map(({ status }) => status)).toEqual(made.map(() => 200));
    const [call, ...more] = decryptsSince(start);
    expect(more).toEqual([]);
    expect(call?.requestParameters).toMatchObject({
      encryptionContext: {
        ...{ "branch-key-id": "a", type: "branch:ACTIVE", "hierarchy-version": "1", tablename: LOGICAL_NAME },
        ...{ "kms-arn": kms.keyArn, "aws-crypto-ec:tenant": "a" },
      },
    });
  });

  it("keeps tenants apart: neither opens what was put under the other's name", async () => {
    const { decrypt, keyStore } = await setUp();
    const keyring = officialKeyring(keyStore, "b");
    const { result } = await sdk.encrypt(keyring, PLAINTEXT, { encryptionContext: { tenant: "a" } });
    expect(await decrypt(toBase64(result))).toMatchObject({ status: 403, body: { code: "ERR_ENCRYPTION_CONTEXT" } });
  });

  it("opens messages under the KMS key itself as before", async () => {
    const { decrypt } = await setUp();
    const message = await messageOf(kms, PLAINTEXT, { tenant: "a" });
    expect(await decrypt(toBase64(message))).toMatchObject({ status: 200, body: { plaintext: toBase64(PLAINTEXT) } });
  });

  it("opens what it has opened after a new version was made, and what the SDK makes under that", async () => {
    const { clock, encrypt, decrypt, keyStore } = await setUp();
    const old = (await encrypt()).body.message;
    await keyStore.versionKey({ branchKeyIdentifier: "a" });
    clock.advance(60_000);
    const fresh = (await encrypt()).body.message;
    const { result } = await sdk.encrypt(officialKeyring(keyStore, "a"), PLAINTEXT, { encryptionContext: CONTEXT });
    for (const message of [old, fresh, toBase64(result)]) {
      expect(await decrypt(message)).toMatchObject({ status: 200, body: { plaintext: toBase64(PLAINTEXT) } });
    }
  });

  it("stops within maxAgeSeconds when the KMS key is disabled, asks once meanwhile, and goes on when it is enabled", async () => {
    const { clock, encrypt } = await setUp();
    expect((await encrypt()).status).toBe(200);
    await kms.operator.send(new DisableKeyCommand({ KeyId: kms.keyArn }));
    expect((await encrypt()).status).toBe(200);
    clock.advance(60_000);
    const start = now();
    for (let i = 0; i < 3; i++) expect(await encrypt()).toMatchObject({ body: { code: "ERR_KMS_REFUSED" } });
    expect(decryptsSince(start)).toHaveLength(1);
    await kms.operator.send(new EnableKeyCommand({ KeyId: kms.keyArn }));
    clock.advance(5_000);
    expect((await encrypt()).status).toBe(200);
  });

  it("stops at once when its caches are wiped and the tenant's records are gone", async () => {
    const { stack, folder, encrypt, decrypt } = await setUp();
    const { message } = (await encrypt()).body;
    const keys = (await folder.list("a")).map((record) => ({ branchKeyId: "a", type: String(record.type?.S) }));
    await folder.delete(keys);
    expect((await decrypt(message)).status).toBe(200);
    await stack.json("POST", "/v1/caches/wipe", {});
    expect(await decrypt(message)).toMatchObject({ status: 403, body: { code: "ERR_BRANCH_KEY" } });
    expect(await encrypt()).toMatchObject({ status: 403, body: { code: "ERR_BRANCH_KEY" } });
    expect((await encrypt({ tenant: "b" })).status).toBe(200);
  });

  it("refuses an active record that is put back after a newer one was seen (PITFALLS 27)", async () => {
    const { stack, path, encrypt, decrypt, keyStore } = await setUp();
    const before = recordsIn(path);
    await keyStore.versionKey({ branchKeyIdentifier: "a" });
    const { message } = (await encrypt()).body;
    const after = recordsIn(path);
    await stack.json("POST", "/v1/caches/wipe", {});
    for (const [name, text] of before) writeFileSync(join(path, name), text);
    expect(await encrypt()).toMatchObject({ status: 409, body: { code: "ERR_ROLLBACK" } });
    expect((await decrypt(message)).status).toBe(200);
    await stack.json("POST", "/v1/caches/wipe", {});
    for (const [name, text] of after) writeFileSync(join(path, name), text);
    expect((await encrypt()).status).toBe(200);
  });

  const CHANGES: readonly [string, () => Readonly<Record<string, unknown>>, string][] = [
    ["is said to be newer", () => ({ "create-time": { S: "2030-01-01T00:00:00Z" } }), "ERR_KMS_REFUSED"],
    ["is said to be another version's", () => ({ version: { S: OTHER_VERSION } }), "ERR_KMS_REFUSED"],
    ["lost its custom pair", () => ({ "aws-crypto-ec:tenant": undefined }), "ERR_BRANCH_KEY"],
    ["got a pair more", () => ({ "aws-crypto-ec:x": { S: "y" } }), "ERR_KMS_REFUSED"],
    [
      "is under another KMS key",
      () => ({ "kms-arn": { S: kms.keyArn.replace(/.{12}$/, "0".repeat(12)) } }),
      "ERR_KMS_KEY",
    ],
    ["is of another hierarchy", () => ({ "hierarchy-version": { N: "2" } }), "ERR_BRANCH_KEY"],
    ["is too large", () => ({ "aws-crypto-ec:x": { S: "y".repeat(70_000) } }), "ERR_KEY_STORE"],
  ];
  it.each(CHANGES)("refuses a record that %s", async (_, changes, code) => {
    const { path, encrypt } = await setUp();
    for (const [name, text] of recordsIn(path)) {
      const record = JSON.parse(text);
      const isActive = record.type.S === "branch:ACTIVE" && record["branch-key-id"].S === "a";
      if (isActive) writeFileSync(join(path, name), JSON.stringify({ ...record, ...changes() }));
    }
    expect(await encrypt()).toMatchObject({ body: { code } });
    expect((await encrypt({ tenant: "b" })).status).toBe(200);
  });

  it("refuses another tenant's encrypted key in a tenant's record (PITFALLS 3)", async () => {
    const { path, encrypt } = await setUp();
    const active = recordsIn(path)
      .map(([name, text]) => ({ name, record: JSON.parse(text) }))
      .filter(({ record }) => record.type.S === "branch:ACTIVE");
    const [a, b] = ["a", "b"].map((id) => active.find(({ record }) => record["branch-key-id"].S === id));
    if (a === undefined || b === undefined) throw new TypeError("expected two active records");
    writeFileSync(join(path, a.name), JSON.stringify({ ...a.record, enc: b.record.enc }));
    expect(await encrypt()).toMatchObject({ body: { code: "ERR_KMS_REFUSED" } });
  });

  it("opens no branch key for a caller, and makes none that he would know (PITFALLS 3)", async () => {
    const { stack, folder } = await setUp();
    const [active] = (await folder.list("a")).filter((record) => record.type?.S === "branch:ACTIVE");
    const { enc, "hierarchy-version": _, ...texts } = active ?? {};
    const pairs = Object.entries(texts).map(([name, value]) => [name, String(value.S)]);
    const encryptionContext = { ...Object.fromEntries(pairs), "hierarchy-version": "1", tablename: LOGICAL_NAME };
    const refused = { status: 403, body: { code: "ERR_ENCRYPTION_CONTEXT" } };
    expect(await stack.json("POST", "/v1/decrypt", { ciphertext: enc?.B, encryptionContext })).toMatchObject(refused);
    const dataKey = { keyId: kms.keyArn, keySpec: "AES_256", encryptionContext };
    expect(await stack.json("POST", "/v1/data-keys", dataKey)).toMatchObject(refused);
    const message = { plaintext: toBase64(PLAINTEXT), encryptionContext };
    expect(await stack.json("POST", "/v1/messages/encrypt", message)).toMatchObject({ status: 400 });
    const allowed = { ...dataKey, encryptionContext: CONTEXT };
    expect(await stack.json("POST", "/v1/data-keys", allowed)).toMatchObject({ status: 200 });
  });

  it("refuses the records of a key store with another logical name", async () => {
    const { encrypt } = await setUp({ logicalName: "another" });
    expect(await encrypt()).toMatchObject({ body: { code: "ERR_KMS_REFUSED" } });
  });

  it("says that there is no key store where the parent has none", async () => {
    const stack = await startStack(kms, { configuration: configurationFor(kms) });
    expect(await operationsOf(stack).encrypt()).toMatchObject({ status: 503, body: { code: "ERR_KEY_STORE" } });
  });

  it("says that the key store cannot be reached where it is gone, and serves again when it is back", async () => {
    const { path, encrypt } = await setUp();
    const records = recordsIn(path);
    for (const [name] of records) {
      rmSync(join(path, name));
      writeFileSync(join(path, name), "{");
    }
    expect(await encrypt()).toMatchObject({ status: 503, body: { code: "ERR_KEY_STORE" } });
    for (const [name, text] of records) writeFileSync(join(path, name), text);
    expect((await encrypt()).status).toBe(200);
  });
});

/** Names and texts of the records' files. */
const recordsIn = (path: string): readonly (readonly [string, string])[] =>
  readdirSync(path)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name, readFileSync(join(path, name), "utf8")] as const);
