/** The keys of sealed requests: published together, replaced by age, and opening for a while afterwards. */
import { describe, expect, it } from "vitest";
import { OwnSealedKeys } from "../../../enclave/sealing/own-sealed-keys.js";
import { parseKeyConfigurations } from "../../../shared/ohttp/key-configuration.js";
import { KEM_P256_HKDF_SHA256, KEM_X25519_HKDF_SHA256 } from "../../../shared/ohttp/suites.js";
import { TestClock } from "../fakes.js";

const LIMITS = { keyMaxAgeSeconds: 600, overlapSeconds: 60 };

async function setUp(limits: Partial<typeof LIMITS> = {}) {
  const clock = new TestClock();
  const keys = await OwnSealedKeys.create({ clock, limits: { ...LIMITS, ...limits }, firstId: 0 });
  const published = () => parseKeyConfigurations(keys.published);
  const ids = () => published().map(({ keyId }) => keyId);
  return { clock, keys, published, ids };
}

describe("OwnSealedKeys", () => {
  it("publishes one key for each KEM, and opens with the private halves of those", async () => {
    const { keys, published } = await setUp();
    expect(published().map(({ kemId }) => kemId)).toEqual([KEM_X25519_HKDF_SHA256, KEM_P256_HKDF_SHA256]);
    for (const configuration of published()) {
      expect((await keys.find(configuration.keyId)).configuration).toEqual(configuration);
    }
    expect(keys.state).toEqual({ keyAgeSeconds: 0, retiredKeys: 0 });
  });

  it("begins with any even identifier, so that a restarted enclave seldom has those of before", async () => {
    const boots = Array.from({ length: 20 }, () => OwnSealedKeys.create({ clock: new TestClock(), limits: LIMITS }));
    const firstIds = (await Promise.all(boots)).map((keys) => parseKeyConfigurations(keys.published)[0]?.keyId ?? -1);
    expect(new Set(firstIds).size).toBeGreaterThan(5); // all alike in one of 2^80 runs or so
    expect(firstIds.filter((id) => id % 2 !== 0)).toEqual([]);
  });

  it("keeps private keys that cannot be exported", async () => {
    const { keys, ids } = await setUp();
    for (const id of ids()) expect((await keys.find(id)).keys.privateKey.extractable).toBe(false);
  });

  it("has no other", async () => {
    const { keys } = await setUp();
    for (const id of [2, 3, 255]) await expect(keys.find(id)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
  });

  it("replaces all of them by other keys with other identifiers", async () => {
    const { keys, published, ids } = await setUp();
    const before = published();
    await keys.rotate();
    expect(ids()).toEqual([2, 3]);
    const points = new Set([...before, ...published()].map(({ publicKey }) => publicKey.join()));
    expect(points.size).toBe(4);
  });

  it("opens with those that are no longer published to the end of the overlap, and not a millisecond longer", async () => {
    const { clock, keys } = await setUp();
    const old = await keys.find(0);
    await keys.rotate();
    expect(keys.state.retiredKeys).toBe(2);
    clock.advance(59_999);
    expect(await keys.find(0)).toBe(old);
    clock.advance(1);
    await expect(keys.find(0)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
    await expect(keys.find(1)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
    expect(keys.state.retiredKeys).toBe(0);
    expect(await keys.find(2)).toBeDefined();
  });

  it("without an overlap has only what is published", async () => {
    const { keys } = await setUp({ overlapSeconds: 0 });
    await keys.rotate();
    await expect(keys.find(0)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
  });

  it("keeps each generation for its own time", async () => {
    const { clock, keys } = await setUp();
    await keys.rotate();
    clock.advance(30_000);
    await keys.rotate();
    clock.advance(30_000);
    await expect(keys.find(0)).rejects.toThrowCode("ERR_KEY_CONFIGURATION");
    expect(await keys.find(2)).toBeDefined();
    expect(keys.state.retiredKeys).toBe(2);
  });

  it("rotates by age, counted from the newest keys", async () => {
    const { clock, keys, ids } = await setUp();
    clock.advance(300_000);
    await keys.rotate();
    clock.advance(599_999);
    expect(ids()).toEqual([2, 3]);
    expect(keys.state.keyAgeSeconds).toBe(599);
    clock.advance(1);
    await expect.poll(ids).toEqual([4, 5]);
    expect(keys.state.keyAgeSeconds).toBe(0);
  });

  it("counts identifiers on past 255, and does not give out one that still opens", async () => {
    const { keys, ids } = await setUp({ overlapSeconds: 0 });
    for (let rotation = 0; rotation < 127; rotation++) await keys.rotate();
    expect(ids()).toEqual([254, 255]);
    await keys.rotate();
    expect(ids()).toEqual([0, 1]);
    expect((await keys.find(0)).configuration).toEqual(parseKeyConfigurations(keys.published)[0]);
  });

  it("refuses a rotation that would need an identifier which still opens", async () => {
    const { clock, keys, ids } = await setUp();
    for (let rotation = 0; rotation < 127; rotation++) await keys.rotate();
    await expect(keys.rotate()).rejects.toThrowCode("ERR_BUSY");
    expect(ids()).toEqual([254, 255]);
    clock.advance(60_000);
    await keys.rotate();
    expect(ids()).toEqual([0, 1]);
  });

  it("rotations at the same time do not give one identifier to two keys", async () => {
    const { keys, ids } = await setUp();
    const before = parseKeyConfigurations(keys.published);
    await Promise.all([keys.rotate(), keys.rotate()]);
    expect(keys.state.retiredKeys).toBe(2);
    expect(ids()).toEqual([2, 3]);
    for (const configuration of [...before, ...parseKeyConfigurations(keys.published)]) {
      expect((await keys.find(configuration.keyId)).configuration).toEqual(configuration);
    }
  });

  it("rotates no more when it is closed, and leaves no timer", async () => {
    const { clock, keys, ids } = await setUp();
    expect(clock.waiting).toBe(1);
    keys.close();
    expect(clock.waiting).toBe(0);
    await keys.rotate();
    expect(clock.waiting).toBe(0);
    expect(ids()).toEqual([2, 3]);
  });
});
