/** Key pairs by identifiers: what is published, what still opens, and that no identifier means two keys. */
import { describe, expect, it } from "vitest";
import { KeyRing, SEALING_KEMS } from "../../../enclave/sealing/key-ring.js";
import { generateKeyPair, parseKeyConfigurations } from "../../../shared/ohttp/key-configuration.js";
import { TestClock } from "../fakes.js";

const pairsFrom = (firstId: number) =>
  Promise.all(SEALING_KEMS.map((kem, index) => generateKeyPair(kem, firstId + index)));

async function setUp() {
  const clock = new TestClock();
  const ring = new KeyRing(clock, await pairsFrom(0));
  const ids = () => parseKeyConfigurations(ring.published).map(({ keyId }) => keyId);
  return { clock, ring, ids };
}

describe("KeyRing", () => {
  it("publishes what replaced the others, which open for their time", async () => {
    const { clock, ring, ids } = await setUp();
    ring.replace(await pairsFrom(2), 1_000);
    expect([ids(), ring.retiredKeys]).toEqual([[2, 3], 2]);
    clock.advance(999);
    expect(ring.find(0)).toBeDefined();
    clock.advance(1);
    expect([ring.find(0), ring.find(2)?.configuration.keyId, ring.retiredKeys]).toEqual([undefined, 2, 0]);
  });

  it("opens with what was published elsewhere, without publishing it", async () => {
    const { ring, ids } = await setUp();
    ring.retire(await pairsFrom(8), 1_000);
    expect([ids(), ring.find(9)?.configuration.keyId]).toEqual([[0, 1], 9]);
  });

  it.each([0, 1])("gives no identifier to a second key while the first opens (from %d)", async (firstId) => {
    const { clock, ring, ids } = await setUp();
    const again = await pairsFrom(firstId);
    expect(() => ring.replace(again, 1_000)).toThrowCode("ERR_BUSY");
    expect(() => ring.retire(again, 1_000)).toThrowCode("ERR_BUSY");
    ring.replace(await pairsFrom(4), 1_000);
    expect(() => ring.replace(again, 1_000)).toThrowCode("ERR_BUSY");
    expect(ids()).toEqual([4, 5]);
    clock.advance(1_000);
    ring.replace(again, 1_000);
    expect(ids()).toEqual([firstId, firstId + 1]);
  });
});
