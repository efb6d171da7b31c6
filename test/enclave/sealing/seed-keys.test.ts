/** Keys from a seed: the same for everybody who has it, of their own for each KEM, with identifiers that epochs do not share. */
import { hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { keysOfSeed } from "../../../enclave/sealing/seed-keys.js";
import { toHex } from "../../../shared/bytes.js";
import { deriveKeyPair } from "../../../shared/ohttp/key-configuration.js";
import { KEM_P256_HKDF_SHA256, KEM_X25519_HKDF_SHA256 } from "../../../shared/ohttp/suites.js";

const MEASUREMENT = "07".repeat(32);
const seed = (): Uint8Array => new Uint8Array(32).fill(5);
const configurationsOf = async (epoch: number, from = seed(), measurement = MEASUREMENT) =>
  (await keysOfSeed(from, { epoch, measurement })).map(({ configuration }) => configuration);
const idsOf = async (epoch: number, measurement?: string) =>
  (await configurationsOf(epoch, seed(), measurement)).map(({ keyId }) => keyId);

describe("keysOfSeed", () => {
  it("gives one key for each KEM, the same each time", async () => {
    const first = await configurationsOf(1);
    expect(first.map(({ kemId }) => kemId)).toEqual([KEM_X25519_HKDF_SHA256, KEM_P256_HKDF_SHA256]);
    expect(await configurationsOf(1)).toEqual(first);
  });

  it("derives for each KEM from bytes of its own, as node:crypto's HKDF has them", async () => {
    for (const [index, { kemId, publicKey, keyId }] of (await configurationsOf(1)).entries()) {
      const label = Buffer.concat([Buffer.from("nitro-decrypt/sealing-key/v1\0"), Buffer.from([0, kemId])]);
      const ikm = new Uint8Array(hkdfSync("sha256", seed(), "", label, 32));
      expect(toHex(publicKey)).toBe(toHex((await deriveKeyPair(kemId, keyId, ikm)).configuration.publicKey));
      expect(index).toBeLessThan(2);
    }
  });

  it("gives other keys for another seed", async () => {
    const [one] = await configurationsOf(1);
    const [other] = await configurationsOf(1, new Uint8Array(32).fill(6));
    expect(one?.publicKey).not.toEqual(other?.publicKey);
  });

  it("counts identifiers on from epoch to epoch, and begins for each fleet somewhere else", async () => {
    expect(await idsOf(1)).toEqual([16, 17]);
    expect(await idsOf(2)).toEqual([18, 19]);
    expect(await idsOf(121)).toEqual([0, 1]);
    expect(await idsOf(1 + 128)).toEqual([16, 17]);
    expect(await idsOf(1, "08".repeat(32))).toEqual([18, 19]);
    expect(await idsOf(2 ** 31 - 1)).toEqual([12, 13]);
  });

  it("overwrites the seed", async () => {
    const given = seed();
    await keysOfSeed(given, { epoch: 1, measurement: MEASUREMENT });
    expect(given).toEqual(new Uint8Array(32));
  });

  it("throws a TypeError for a seed of another length, which it overwrites as well", async () => {
    const given = new Uint8Array(31).fill(5);
    await expect(keysOfSeed(given, { epoch: 1, measurement: MEASUREMENT })).rejects.toThrow(TypeError);
    expect(given).toEqual(new Uint8Array(31));
  });
});
