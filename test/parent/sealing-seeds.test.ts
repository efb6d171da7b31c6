/** The sealing seeds that a parent keeps: the first of an epoch stays, the newest are kept, and a folder outlives the parent. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { MAX_FLEETS, SeedStore } from "../../parent/sealing-seeds.js";
import { toBase64, utf8 } from "../../shared/bytes.js";
import type { SealingSeed } from "../../shared/sealing-seed.js";
import { sealingSeeds } from "../../shared/sealing-seed.js";
import { requestOver } from "../../transport/http.js";
import { testFolder } from "../support/folder.js";
import { memoryLog, openParent } from "./fakes.js";

const ID = { fleet: "payments", measurement: "ab".repeat(32) };

const seedOf = (epoch: number, text = "seed"): SealingSeed => ({
  epoch,
  created: "2026-11-23T10:00:00.000Z",
  ciphertext: toBase64(utf8(text)),
  document: toBase64(utf8("document")),
});

const open = (folder?: string) => SeedStore.open({ folder, log: memoryLog().logger });
const epochsOf = (store: SeedStore, id = ID) => store.list(id).map(({ epoch }) => epoch);

describe("SeedStore", () => {
  it("has nothing of a fleet that it does not know", async () => {
    expect((await open()).list(ID)).toEqual([]);
  });

  it("keeps the first seed of an epoch, and answers whoever comes second with it", async () => {
    const store = await open();
    expect(await store.put(ID, seedOf(1, "first"))).toEqual(seedOf(1, "first"));
    expect(await store.put(ID, seedOf(1, "second"))).toEqual(seedOf(1, "first"));
    expect(store.list(ID)).toEqual([seedOf(1, "first")]);
  });

  it("does so for those that come at the same time, in memory and in a folder", async () => {
    for (const store of [await open(), await open(testFolder())]) {
      const puts = Array.from({ length: 8 }, (_, index) => store.put(ID, seedOf(1, `of ${index}`)));
      expect(await Promise.all(puts)).toEqual(Array(8).fill(seedOf(1, "of 0")));
    }
  });

  it("keeps the two newest epochs, the newest first, whatever order they come in", async () => {
    const store = await open();
    for (const epoch of [2, 1, 3]) await store.put(ID, seedOf(epoch));
    expect(epochsOf(store)).toEqual([3, 2]);
    expect(await store.put(ID, seedOf(2, "again"))).toEqual(seedOf(2));
  });

  it("PITFALLS 27: refuses an epoch older than those that it keeps", async () => {
    const store = await open();
    for (const epoch of [1, 2, 3]) await store.put(ID, seedOf(epoch));
    await expect(store.put(ID, seedOf(1))).rejects.toThrowCode("ERR_ROLLBACK");
    expect(epochsOf(store)).toEqual([3, 2]);
  });

  it("keeps fleets and measurements apart", async () => {
    const store = await open();
    await store.put(ID, seedOf(1, "one"));
    await store.put({ ...ID, fleet: "records" }, seedOf(2, "two"));
    await store.put({ ...ID, measurement: "cd".repeat(32) }, seedOf(3, "three"));
    expect(epochsOf(store)).toEqual([1]);
    expect(epochsOf(store, { ...ID, fleet: "records" })).toEqual([2]);
  });

  it.each([
    { ...ID, fleet: "" },
    { ...ID, fleet: "../etc" },
    { ...ID, fleet: "Payments" },
    { ...ID, measurement: "AB".repeat(32) },
    { ...ID, measurement: "ab" },
  ])("refuses names that are none ($fleet, $measurement)", async (id) => {
    const store = await open();
    expect(() => store.list(id)).toThrowCode("ERR_NOT_FOUND");
    expect(() => store.put(id, seedOf(1))).toThrowCode("ERR_NOT_FOUND");
  });

  it("keeps so many fleets, and of those the ones that were asked for last", async () => {
    const folder = testFolder();
    const store = await open(folder);
    const idOf = (index: number) => ({ ...ID, fleet: `fleet-${index}` });
    for (let index = 0; index < MAX_FLEETS; index++) await store.put(idOf(index), seedOf(1));
    store.list(idOf(0));
    await store.put(idOf(MAX_FLEETS), seedOf(1));
    expect([epochsOf(store, idOf(0)), epochsOf(store, idOf(1)), epochsOf(store, idOf(MAX_FLEETS))]).toEqual([
      [1],
      [],
      [1],
    ]);
    expect(readdirSync(folder)).toHaveLength(MAX_FLEETS);
  });
});

describe("a folder", () => {
  it("has the seeds when the parent starts again, and nothing else", async () => {
    const folder = testFolder();
    const before = await open(folder);
    for (const epoch of [1, 2, 3]) await before.put(ID, seedOf(epoch));
    expect(readdirSync(folder)).toEqual([`payments.${ID.measurement}.json`]);
    const after = await open(folder);
    expect(after.list(ID)).toEqual([seedOf(3), seedOf(2)]);
  });

  it("that has other files, or damaged ones, is read as far as it goes, and they are told", async () => {
    const folder = testFolder();
    const store = await open(folder);
    await store.put(ID, seedOf(1));
    writeFileSync(join(folder, `records.${ID.measurement}.json`), '{"seeds":[{}]}');
    writeFileSync(join(folder, `tokens.${ID.measurement}.json`), "x".repeat(200_000));
    mkdirSync(join(folder, `other.${ID.measurement}.json`));
    writeFileSync(join(folder, "notes.txt"), "mine");
    const log = memoryLog();
    const after = await SeedStore.open({ folder, log: log.logger });
    expect(epochsOf(after)).toEqual([1]);
    expect(epochsOf(after, { ...ID, fleet: "records" })).toEqual([]);
    for (const fleet of ["records", "tokens", "other"]) expect(log.text()).toContain(`${fleet}.${ID.measurement}.json`);
    expect(readFileSync(join(folder, "notes.txt"), "utf8")).toBe("mine");
  });

  it("that is not there is refused", async () => {
    await expect(open(join(testFolder(), "missing"))).rejects.toThrowCode("ERR_CONFIGURATION");
  });

  it("that cannot be written to keeps nothing, in memory neither", async () => {
    const folder = testFolder();
    const store = await open(folder);
    mkdirSync(join(folder, `payments.${ID.measurement}.json.next`));
    await expect(store.put(ID, seedOf(1))).rejects.toThrow("EISDIR");
    expect(store.list(ID)).toEqual([]);
  });
});

describe("GET and PUT /sealing-seeds/FLEET/MEASUREMENT", () => {
  const path = `/sealing-seeds/${ID.fleet}/${ID.measurement}`;
  const start = () => openParent((_request, response) => void response.end("{}"));
  const send = async (address: string, method: string, target = path, body?: unknown) => {
    const answer = await requestOver(address, {
      ...{ method, path: target, deadlineMs: 5_000, maxResponseBytes: 100_000 },
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" } }),
      body: body === undefined ? undefined : utf8(typeof body === "string" ? body : JSON.stringify(body)),
    });
    return { status: answer.status, body: JSON.parse(new TextDecoder().decode(answer.body)) };
  };

  it("give and take seeds", async () => {
    const { servicesAddress } = await start();
    expect(await send(servicesAddress, "GET")).toEqual({ status: 200, body: { seeds: [] } });
    expect(await send(servicesAddress, "PUT", path, seedOf(1, "a"))).toEqual({ status: 200, body: seedOf(1, "a") });
    expect(await send(servicesAddress, "PUT", path, seedOf(1, "b"))).toEqual({ status: 200, body: seedOf(1, "a") });
    expect((await send(servicesAddress, "GET")).body).toEqual({ seeds: [seedOf(1, "a")] });
  });

  it.each([
    ["no JSON", "{"],
    ["no epoch", { ...seedOf(1), epoch: undefined }],
    ["an epoch of 0", seedOf(0)],
    ["an epoch that is too large", seedOf(2 ** 31)],
    ["a time in another form", { ...seedOf(1), created: "2026-11-23T10:00:00Z" }],
    ["a time that does not exist", { ...seedOf(1), created: "2026-13-23T10:00:00.000Z" }],
    ["a ciphertext that is too long", { ...seedOf(1), ciphertext: toBase64(new Uint8Array(6145)) }],
    ["one field more", { ...seedOf(1), plaintext: "AA==" }],
  ])("refuse %s", async (_, body) => {
    const { servicesAddress } = await start();
    const answer = await send(servicesAddress, "PUT", path, body);
    expect(answer).toMatchObject({ status: 400, body: { code: "ERR_MESSAGE_MALFORMED" } });
    expect((await send(servicesAddress, "GET")).body).toEqual({ seeds: [] });
  });

  it("refuse names that are none", async () => {
    const { servicesAddress } = await start();
    for (const target of ["/sealing-seeds/UPPER/ab", "/sealing-seeds/payments/..%2f"]) {
      expect(await send(servicesAddress, "GET", target)).toMatchObject({ body: { code: "ERR_NOT_FOUND" } });
    }
  });

  it("are for enclaves: clients of the API do not find them", async () => {
    const { url } = await start();
    expect((await fetch(url + path)).status).toBe(404);
  });
});

describe("sealingSeeds", () => {
  it.each([
    ["the oldest first", [seedOf(1), seedOf(2)]],
    ["an epoch twice", [seedOf(2), seedOf(2)]],
    ["more than are kept", [seedOf(3), seedOf(2), seedOf(1)]],
  ])("refuses %s", (_, seeds) => {
    expect(sealingSeeds.safeParse({ seeds }).success).toBe(false);
    expect(sealingSeeds.safeParse({ seeds: [seedOf(2), seedOf(1)] }).success).toBe(true);
  });
});
