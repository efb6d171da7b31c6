/** What the enclave asks of its parent's key store, and what it takes for an answer. */
import { describe, expect, it, onTestFinished } from "vitest";
import { parentBranchKeyStorage } from "../../../../enclave/data-keys/branch/branch-key-storage.js";
import { ServicesClient } from "../../../../enclave/kms/services.js";
import { ServiceError } from "../../../../shared/errors.js";
import type { ServiceAnswer } from "../../services.js";
import { fakeServices } from "../../services.js";
import { item, VERSION } from "./records.js";

const ACTIVE = { branchKeyId: "a" };

async function setUp(answer: () => ServiceAnswer | Promise<ServiceAnswer>) {
  const { address, requests } = await fakeServices({ "/dynamodb": answer });
  const services = new ServicesClient(address);
  onTestFinished(() => services.close());
  const storage = parentBranchKeyStorage(services, "branch-keys");
  const find = (wanted: { branchKeyId: string; version?: string } = ACTIVE, signal = new AbortController().signal) =>
    storage.find(wanted, signal);
  return { find, requests };
}

describe("parentBranchKeyStorage", () => {
  it("asks for one record, strongly consistent, as DynamoDB is asked", async () => {
    const { find, requests } = await setUp(() => ({ body: { Item: item() } }));
    expect(await find()).toEqual(item());
    await find({ branchKeyId: "a", version: VERSION });
    const keyOf = (type: string) => ({ "branch-key-id": { S: "a" }, type: { S: type } });
    const table = { TableName: "branch-keys", ConsistentRead: true };
    expect(requests.map(({ body }) => body)).toEqual(
      ["branch:ACTIVE", `branch:version:${VERSION}`].map((type) => ({
        target: "DynamoDB_20120810.GetItem",
        body: { ...table, Key: keyOf(type) },
      })),
    );
  });

  it("knows that there is none", async () => {
    const { find } = await setUp(() => ({ body: {} }));
    expect(await find()).toBeUndefined();
  });

  it.each<[string, ServiceAnswer]>([
    ["a failure", { status: 503, body: {} }],
    ["that it has no key store", { status: 404, body: {} }],
    ["more than an item", { body: { Item: item(), ConsumedCapacity: 1 } }],
    ["no object", { body: [] }],
    ["a list of items", { body: { Item: [item()] } }],
    ["more than it may", { body: { Item: { enc: { B: "A".repeat(70_000) } } } }],
  ])("refuses %s", async (_, answer) => {
    const { find } = await setUp(() => answer);
    await expect(find()).rejects.toThrowCode("ERR_KEY_STORE");
  });

  it("gives up when it is told to", async () => {
    const controller = new AbortController();
    const { find } = await setUp(() => {
      controller.abort(new ServiceError("ERR_TIMEOUT", "given up"));
      return new Promise(() => undefined);
    });
    await expect(find(ACTIVE, controller.signal)).rejects.toThrowCode("ERR_TIMEOUT");
  });
});
