/** The parent's end of the key store of branch keys: one operation on one table, out of a folder or of DynamoDB. */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { BranchKeyStore } from "../../parent/branch-key-store.js";
import { callKeyStore } from "../../parent/branch-key-store.js";
import { utf8 } from "../../shared/bytes.js";
import { requestOver } from "../../transport/http.js";
import type { TestKeyStore } from "../support/key-store.js";
import { folderKeyStore, putItems, startDynalite, TABLE } from "../support/key-store.js";
import { openParent } from "./fakes.js";

const RECORD = {
  "branch-key-id": { S: "a/../ü\0" },
  type: { S: "branch:ACTIVE" },
  "hierarchy-version": { N: "1" },
  enc: { B: "AQID" },
};
const KEY = { "branch-key-id": { S: "a/../ü\0" }, type: { S: "branch:ACTIVE" } };
const BODY = { TableName: TABLE, Key: KEY, ConsistentRead: true };
const TARGET = "DynamoDB_20120810.GetItem";

let keyStore: TestKeyStore;
let store: BranchKeyStore;
beforeEach(async () => {
  keyStore = folderKeyStore();
  await keyStore.folder.write([RECORD], async () => undefined);
  store = { kind: "folder", path: keyStore.path, table: TABLE };
});

const ask = (body: unknown = BODY, target = TARGET, from = store) =>
  callKeyStore(from, JSON.stringify({ target, body }), 5_000);

const fileOfRecord = (): string => {
  const [name, ...more] = readdirSync(keyStore.path).filter((file) => file.endsWith(".json"));
  expect(more).toEqual([]);
  return join(keyStore.path, name ?? "");
};

describe("callKeyStore", () => {
  test("answers with the record of a folder, and with none where there is none", async () => {
    expect(await ask()).toEqual({ Item: RECORD });
    expect(await ask({ ...BODY, Key: { ...KEY, type: { S: "branch:version:1" } } })).toEqual({});
    expect(await ask({ ...BODY, Key: { ...KEY, "branch-key-id": { S: "a" } } })).toEqual({});
  });

  test("answers with the record of a DynamoDB table, read consistently, and with none where there is none", async () => {
    const client = await startDynalite();
    await putItems(client, [RECORD]);
    const table: BranchKeyStore = { kind: "dynamodb", client, table: TABLE };
    expect(await ask(BODY, TARGET, table)).toEqual({ Item: RECORD });
    expect(await ask({ ...BODY, Key: { ...KEY, type: { S: "other" } } }, TARGET, table)).toEqual({});
  });

  test.each([
    ["another operation", BODY, "DynamoDB_20120810.PutItem", "ERR_NOT_FOUND"],
    ["a scan", { TableName: TABLE }, "DynamoDB_20120810.Scan", "ERR_NOT_FOUND"],
    ["another service", BODY, "TrentService.Decrypt", "ERR_NOT_FOUND"],
    ["another table", { ...BODY, TableName: "payroll" }, TARGET, "ERR_NOT_FOUND"],
    ["an expression", { ...BODY, ProjectionExpression: "enc" }, TARGET, "ERR_MESSAGE_MALFORMED"],
    ["an eventually consistent read", { ...BODY, ConsistentRead: false }, TARGET, "ERR_MESSAGE_MALFORMED"],
    ["no key", { TableName: TABLE, ConsistentRead: true }, TARGET, "ERR_MESSAGE_MALFORMED"],
    ["another attribute as key", { ...BODY, Key: { ...KEY, enc: { S: "" } } }, TARGET, "ERR_MESSAGE_MALFORMED"],
    ["a key of numbers", { ...BODY, Key: { ...KEY, type: { N: "1" } } }, TARGET, "ERR_MESSAGE_MALFORMED"],
  ] as const)("refuses %s", async (_, body, target, code) => {
    await expect(ask(body, target)).rejects.toThrowCode(code);
  });

  test("refuses what is no JSON", async () => {
    await expect(callKeyStore(store, "{", 5_000)).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  test.each([
    ["no JSON", "{"],
    ["no record", '{"type":{"S":"branch:ACTIVE"}}'],
    ["another record", JSON.stringify({ ...RECORD, "branch-key-id": { S: "b" } })],
    ["too large", JSON.stringify({ ...RECORD, more: { S: "x".repeat(70_000) } })],
  ])("refuses a file that is %s", async (_, text) => {
    writeFileSync(fileOfRecord(), text);
    await expect(ask()).rejects.toThrowCode("ERR_KEY_STORE");
  });

  test("refuses what is no file", async () => {
    const file = fileOfRecord();
    renameSync(file, `${file}.away`);
    mkdirSync(file);
    await expect(ask()).rejects.toThrowCode("ERR_KEY_STORE");
  });

  test("refuses when DynamoDB does", async () => {
    const client = await startDynalite();
    const missing: BranchKeyStore = { kind: "dynamodb", client, table: "missing-table" };
    await expect(ask({ ...BODY, TableName: "missing-table" }, TARGET, missing)).rejects.toThrowCode("ERR_KEY_STORE");
  });
});

describe("POST /dynamodb of the parent's services", () => {
  const post = async (address: string, body: unknown = BODY) => {
    const { status, body: answer } = await requestOver(address, {
      ...{ method: "POST", path: "/dynamodb", headers: { "content-type": "application/json" } },
      body: utf8(JSON.stringify({ target: TARGET, body })),
      ...{ deadlineMs: 5_000, maxResponseBytes: 100_000 },
    });
    return { status, json: JSON.parse(new TextDecoder().decode(answer)) };
  };
  const answering: Parameters<typeof openParent>[0] = (_request, response) => void response.end("{}");

  test("answers the enclave, refuses other tables, and is not there without a key store", async () => {
    const { servicesAddress } = await openParent(answering, { branchKeys: store });
    expect(await post(servicesAddress)).toEqual({ status: 200, json: { Item: RECORD } });
    expect(await post(servicesAddress, { ...BODY, TableName: "payroll" })).toMatchObject({ status: 404 });
    const without = await openParent(answering);
    expect(await post(without.servicesAddress)).toMatchObject({ status: 404 });
  });

  test("is for the enclave: clients of the API do not find it", async () => {
    const { url } = await openParent(answering, { branchKeys: store });
    const options = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    expect((await fetch(`${url}/dynamodb`, options)).status).toBe(404);
  });

  test("says that the store failed, and not how", async () => {
    const { servicesAddress } = await openParent(answering, { branchKeys: store });
    writeFileSync(fileOfRecord(), "{");
    const { status, json } = await post(servicesAddress);
    expect([status, json.code]).toEqual([503, "ERR_KEY_STORE"]);
    expect(JSON.stringify(json)).not.toContain(keyStore.path);
  });
});
