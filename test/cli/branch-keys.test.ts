/** `nitro-decrypt branch-keys`, beside a simulated KMS over HTTP, on a folder and on an embedded DynamoDB. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetItemCommand, ScanCommand, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { dynamoTable } from "../../cli/branch-keys/key-table.js";
import { branchKeys } from "../../cli/branch-keys.js";
import { kms } from "../../cli/kms.js";
import type { JsonItem } from "../../parent/branch-key-folder.js";
import { testFolder } from "../support/folder.js";
import type { RecordedIo } from "../support/io.js";
import { recordedIo } from "../support/io.js";
import { folderKeyStore, officialKeyStore, putItems, startDynalite, TABLE } from "../support/key-store.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let home: string;
let server: RecordedIo;
let exit: Promise<number>;
let client: KMSClient;
let keyArn: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "nd-"));
  server = recordedIo({ cwd: home, now: () => new Date() });
  exit = kms.run(["--folder", "files", "--http", "--json"], server);
  const ready = JSON.parse(await server.firstOutput);
  const { accessKey } = JSON.parse(readFileSync(join(home, "files", "connection.json"), "utf8"));
  vi.stubEnv("AWS_ENDPOINT_URL_KMS", ready.endpoint);
  vi.stubEnv("AWS_ACCESS_KEY_ID", accessKey.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", accessKey.secretAccessKey);
  vi.stubEnv("AWS_REGION", ready.region);
  client = new KMSClient({ endpoint: ready.endpoint, region: ready.region, credentials: accessKey, maxAttempts: 1 });
  keyArn = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
});
afterAll(async () => {
  vi.unstubAllEnvs();
  client.destroy();
  server.interrupt();
  expect(await exit).toBe(0);
  rmSync(home, { recursive: true });
});

let folder: string;
beforeEach(() => {
  folder = testFolder();
});

async function run(...argv: string[]) {
  const io = recordedIo({ cwd: folder, now: () => new Date() });
  const exitCode = await branchKeys.run(argv, io);
  return { exitCode, out: io.out, err: io.err };
}

const PLACE = ["--table", TABLE, "--folder", "keys"];
const store = (): string[] => [...PLACE, "--kms-key", keyArn, "--logical-name", "tenants"];
const create = (id: string, ...more: string[]) => run("create", "--id", id, ...store(), ...more);
const recordsIn = () =>
  readdirSync(join(folder, "keys"))
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, "keys", name), "utf8")));

describe("branch-keys create", () => {
  it("makes the records of a branch key, bound to its tenant, and tells its version", async () => {
    const { exitCode, out, err } = await create("acme", "--json");
    expect([exitCode, err]).toEqual([0, ""]);
    const made = JSON.parse(out);
    expect(made).toMatchObject({ id: "acme", kmsArn: keyArn });
    expect(made.activeVersion).toMatch(UUID);
    const records = recordsIn();
    expect(records.map((record) => record.type.S).sort()).toEqual([
      "beacon:ACTIVE",
      "branch:ACTIVE",
      `branch:version:${made.activeVersion}`,
    ]);
    for (const record of records) expect(record["aws-crypto-ec:tenant"]).toEqual({ S: "acme" });
  });

  it("says so to people, and binds the key to the pair that it is told", async () => {
    const { exitCode, out } = await create("acme", "--tenant-pair", "customer");
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^made the branch key {2}acme\nits version {10}[0-9a-f-]{36}\n$/);
    expect(recordsIn()[0]).toMatchObject({ "aws-crypto-ec:customer": { S: "acme" } });
  });

  it("makes no second one of the same id", async () => {
    await create("acme");
    const before = recordsIn();
    const { exitCode, err } = await create("acme");
    expect(exitCode).toBe(1);
    expect(err).toContain('there is a branch key acme already; "branch-keys version" gives it a new version');
    expect(recordsIn()).toEqual(before);
  });

  it("leaves nothing in the folder when KMS refuses, and says what it said", async () => {
    const { exitCode, err } = await run(
      ...["create", "--id", "acme", ...PLACE, "--logical-name", "tenants"],
      ...["--kms-key", keyArn.replace(/.{12}$/, "0".repeat(12))],
    );
    expect(exitCode).toBe(1);
    expect(err).toContain("AWS KMS refused: NotFoundException");
    expect((await run("list", ...PLACE)).exitCode).toBe(1);
  });

  it.each([
    [["--kms-key", "alias/x", "--logical-name", "tenants", ...PLACE, "--id", "a"], "--kms-key is a key ARN"],
    [["--logical-name", "tenants", ...PLACE, "--id", "a"], "--kms-key is required"],
    [[...PLACE], "--id is required"],
    [["--id", "a", "--kms-key", "arn:aws:kms:us-east-1:111122223333:key/x"], "--logical-name is required"],
    [["--id", "a", "--unknown"], "--unknown"],
  ])("refuses wrong usage: %s", async (argv, message) => {
    const { exitCode, err } = await run("create", ...argv);
    expect(exitCode).toBe(2);
    expect(err).toContain(message);
  });
});

describe("branch-keys version", () => {
  it("makes a new version the active one and keeps the old", async () => {
    const first = JSON.parse((await create("acme", "--json")).out);
    const { exitCode, out } = await run("version", "--id", "acme", ...store(), "--json");
    expect(exitCode).toBe(0);
    const after = JSON.parse(out);
    expect(after.activeVersion).not.toBe(first.activeVersion);
    expect(after.versions.map(({ version }: { version: string }) => version)).toEqual([
      after.activeVersion,
      first.activeVersion,
    ]);
    const told = await run("version", "--id", "acme", ...store());
    expect(told.out).toContain(`its version was  ${after.activeVersion}`);
  });

  it("makes no version of a branch key that there is not", async () => {
    await create("acme");
    const { exitCode, err } = await run("version", "--id", "other", ...store());
    expect(exitCode).toBe(1);
    expect(err).toContain(`there is no branch key other in the table ${TABLE}`);
  });
});

describe("branch-keys list", () => {
  it("lists the branch keys of a folder with their versions", async () => {
    for (const id of ["b", "a"]) await create(id);
    await run("version", "--id", "a", ...store());
    const { out } = await run("list", ...PLACE);
    expect(out.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^ID {2}VERSION +CREATED$/),
      expect.stringMatching(/^a {3}[0-9a-f-]{36} {2}\S+Z {2}active$/),
      expect.stringMatching(/^ {4}[0-9a-f-]{36} {2}\S+Z$/),
      expect.stringMatching(/^b {3}[0-9a-f-]{36} {2}\S+Z {2}active$/),
    ]);
    const json = JSON.parse((await run("list", ...PLACE, "--id", "b", "--json")).out);
    expect(json.branchKeys.map(({ id }: { id: string }) => id)).toEqual(["b"]);
  });

  it("says that there are none, and that there is no folder", async () => {
    await create("acme");
    await run("remove", "--id", "acme", "--confirm", "acme", ...PLACE);
    expect(await run("list", ...PLACE)).toEqual({ exitCode: 0, out: "There are no branch keys.\n", err: "" });
    const { exitCode, err } = await run("list", "--table", TABLE, "--folder", "nowhere");
    expect(exitCode).toBe(1);
    expect(err).toContain("there is no such file");
  });
});

describe("branch-keys remove", () => {
  it("removes every record of one branch key and of no other", async () => {
    await create("acme");
    await create("other");
    await run("version", "--id", "acme", ...store());
    const { exitCode, out } = await run("remove", "--id", "acme", "--confirm", "acme", ...PLACE, "--json");
    expect([exitCode, JSON.parse(out)]).toEqual([0, { id: "acme", removedRecords: 4 }]);
    expect(new Set(recordsIn().map((record) => record["branch-key-id"].S))).toEqual(new Set(["other"]));
  });

  it("wants the id twice, and one that there is", async () => {
    await create("acme");
    expect((await run("remove", "--id", "acme", ...PLACE)).exitCode).toBe(2);
    expect((await run("remove", "--id", "acme", "--confirm", "acm", ...PLACE)).exitCode).toBe(2);
    expect((await run("remove", "--id", "x", "--confirm", "x", ...PLACE)).exitCode).toBe(1);
    expect(recordsIn()).toHaveLength(3);
  });
});

describe("branch-keys", () => {
  it("helps, and refuses what is none of its commands", async () => {
    for (const argv of [[], ["create"], ["version"], ["list"], ["remove"]]) {
      const { exitCode, out } = await run(...argv, "--help");
      expect(exitCode).toBe(0);
      expect(out).toContain("Usage: nitro-decrypt branch-keys");
    }
    expect((await run("rotate")).exitCode).toBe(2);
    expect((await run()).exitCode).toBe(2);
  });
});

describe("a key store in a folder", () => {
  const official = (keys = folderKeyStore()) => ({
    ...keys,
    keyStore: officialKeyStore({ client: keys.client, kmsClient: client, keyArn }),
  });
  const makeKey = (keyStore: ReturnType<typeof officialKeyStore>) =>
    keyStore.createKey({ branchKeyIdentifier: "a", encryptionContext: { tenant: "a" } });

  it("lets one of several that make the same key succeed, and leaves its records whole", async () => {
    const { folder: table, keyStore } = official();
    const outcomes = await Promise.allSettled([makeKey(keyStore), makeKey(keyStore)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const [active, version] = ["branch:ACTIVE", "branch:version:"].map(
      (type) => async () => (await table.list("a")).find((record) => String(record.type?.S).startsWith(type)),
    );
    expect((await active?.())?.version?.S).toBe((await version?.())?.type?.S);
  });

  it("ends what a writer began that did not come to its end", async () => {
    const { folder: table, keyStore, path } = official();
    await makeKey(keyStore);
    const records = await table.list("a");
    const moved = records.map((record) => ({ ...record, "branch-key-id": { S: "b" } }));
    writeFileSync(join(path, "transaction.json"), JSON.stringify(moved));
    await keyStore.versionKey({ branchKeyIdentifier: "a" });
    expect(await table.list("b")).toHaveLength(3);
    expect(readdirSync(path)).not.toContain("transaction.json");
  });

  it("changes nothing when the active record is another one by then", async () => {
    const { folder: table, client: dynamo, keyStore, path } = official();
    await makeKey(keyStore);
    const before = await table.list("a");
    const enc = { B: Buffer.from("another").toString("base64") };
    const put = (type: string, condition: object) => ({
      Put: { TableName: TABLE, Item: { "branch-key-id": { S: "a" }, type: { S: type } }, ...condition },
    });
    const TransactItems = [
      put("branch:version:2", {
        ConditionExpression: "attribute_not_exists(#bkid)",
        ExpressionAttributeNames: { "#bkid": "branch-key-id" },
      }),
      put("branch:ACTIVE", {
        ConditionExpression: "attribute_exists(#bkid) AND #enc = :encOld",
        ExpressionAttributeNames: { "#bkid": "branch-key-id", "#enc": "enc" },
        ExpressionAttributeValues: { ":encOld": { B: Buffer.from(enc.B, "base64") } },
      }),
    ];
    await expect(dynamo.send(new TransactWriteItemsCommand({ TransactItems }))).rejects.toMatchObject({
      name: "TransactionCanceledException",
      CancellationReasons: [{ Code: "None" }, { Code: "ConditionalCheckFailed" }],
    });
    expect(await table.list("a")).toEqual(before);
    expect(readdirSync(path)).not.toContain("transaction.json");
  });

  it("is one table, and knows the operations of a key store alone", async () => {
    const { client: dynamo } = official();
    const Key = { "branch-key-id": { S: "a" }, type: { S: "branch:ACTIVE" } };
    await expect(dynamo.send(new GetItemCommand({ TableName: "payroll", Key }))).rejects.toMatchObject({
      name: "ResourceNotFoundException",
    });
    await expect(dynamo.send(new ScanCommand({ TableName: TABLE }))).rejects.toThrow("operations of a key store");
  });
});

describe("a key store in DynamoDB", () => {
  it("is where AWS_REGION says, and nowhere without it", async () => {
    vi.stubEnv("AWS_REGION", undefined);
    vi.stubEnv("AWS_CONFIG_FILE", join(folder, "none"));
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(folder, "none"));
    const { exitCode, err } = await run("list", "--table", TABLE);
    vi.stubEnv("AWS_REGION", "us-east-1");
    expect(exitCode).toBe(2);
    expect(err).toContain("set AWS_REGION");
  });

  it("is listed and emptied by branch key", async () => {
    const { folder: table, client: source } = folderKeyStore();
    const keyStore = officialKeyStore({ client: source, kmsClient: client, keyArn });
    for (const id of ["a", "b"]) {
      await keyStore.createKey({ branchKeyIdentifier: id, encryptionContext: { tenant: id } });
    }
    const dynamo = await startDynalite();
    await putItems(dynamo, await table.list());
    const inTable = dynamoTable(dynamo, TABLE);
    const sorted = (items: readonly JsonItem[]) =>
      [...items].sort((a, b) => (`${a.type?.S}` < `${b.type?.S}` ? -1 : 1));
    expect(sorted(await inTable.list("a"))).toEqual(sorted(await table.list("a")));
    const keys = (await inTable.list("a")).map((record) => ({ branchKeyId: "a", type: String(record.type?.S) }));
    await inTable.delete(keys);
    expect((await inTable.list()).map((record) => record["branch-key-id"]?.S)).toEqual(["b", "b", "b"]);
    await expect(dynamoTable(dynamo, "missing").list()).rejects.toThrow("cannot list the records of the table missing");
  });
});
