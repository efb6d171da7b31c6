/** The parent's store of seeds, as an enclave asks it: nothing that is not of its form comes through. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ServicesClient } from "../../../enclave/kms/services.js";
import { SeedStore } from "../../../enclave/sealing/seed-store.js";
import { ServiceError } from "../../../shared/errors.js";
import type { SealingSeed } from "../../../shared/sealing-seed.js";
import { fakeServices } from "../services.js";

const MEASUREMENT = "ab".repeat(32);
const PATH = `/sealing-seeds/payments/${MEASUREMENT}`;
const IDENTITY = { fleet: "payments", measurement: MEASUREMENT, anchor: { name: "none", sha256: "00".repeat(32) } };
const SEED: SealingSeed = { epoch: 2, created: "2026-11-23T10:00:00.000Z", ciphertext: "AAAA", document: "AAAA" };

const storeThatSays = (text: string) => new SeedStore({ request: async () => text }, IDENTITY);

describe("SeedStore", () => {
  it("asks for the seeds of its own fleet and measurement, and gives one there", async () => {
    const services = await fakeServices({ [PATH]: (body) => ({ body: "epoch" in body ? SEED : { seeds: [SEED] } }) });
    const client = new ServicesClient(services.address);
    const store = new SeedStore(client, IDENTITY);
    expect(await store.list()).toEqual([SEED]);
    expect(await store.put(SEED)).toEqual(SEED);
    expect(services.requests).toEqual([
      { path: PATH, body: {} },
      { path: PATH, body: SEED },
    ]);
    client.close();
  });

  it.each([
    ["no JSON", "{"],
    ["no seeds", "{}"],
    ["another form", JSON.stringify([SEED])],
    ["one field more", JSON.stringify({ seeds: [SEED], more: 1 })],
    ["a seed with one field more", JSON.stringify({ seeds: [{ ...SEED, more: 1 }] })],
    ["the oldest first", JSON.stringify({ seeds: [SEED, { ...SEED, epoch: 3 }] })],
    ["an epoch that is no whole number", JSON.stringify({ seeds: [{ ...SEED, epoch: 1.5 }] })],
  ])("refuses a list that is %s", async (_, text) => {
    expect(await storeThatSays(JSON.stringify({ seeds: [SEED] })).list()).toEqual([SEED]);
    await expect(storeThatSays(text).list()).rejects.toThrowCode("ERR_SEALING_SEED");
  });

  it("refuses the seed of another epoch in answer to one", async () => {
    const other = storeThatSays(JSON.stringify({ ...SEED, epoch: 1 }));
    await expect(other.put(SEED)).rejects.toThrowCode("ERR_SEALING_SEED");
  });

  it.each([404, 409, 500])("says ERR_SEALING_SEED of a parent that answers with status %d", async (status) => {
    const services = await fakeServices({ [PATH]: () => ({ status, body: { seeds: [] } }) });
    const client = new ServicesClient(services.address);
    await expect(new SeedStore(client, IDENTITY).list()).rejects.toThrowCode("ERR_SEALING_SEED");
    client.close();
  });

  it("throws nothing but ServiceErrors, whatever the parent answers", async () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => `{"seeds":[${json}]}`),
    );
    await fc.assert(
      fc.asyncProperty(text, async (answer) => {
        const listed = await storeThatSays(answer)
          .list()
          .catch((error: unknown) => error);
        expect(Array.isArray(listed) || listed instanceof ServiceError).toBe(true);
      }),
    );
  });
});
