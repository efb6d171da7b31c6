/** PITFALLS 29: where an enclave's randomness comes from at boot. */
import { describe, expect, it } from "vitest";
import type { KernelPool } from "../../../enclave/machine/randomness.js";
import { seedRandomness } from "../../../enclave/machine/randomness.js";
import { NsmClient } from "../../../enclave/nsm.js";
import { encodeNsmResponse } from "../../../shared/nsm.js";
import { TestClock } from "../fakes.js";

/** An NSM that gives these random bytes in turn, the last of them for ever. */
function nsmGiving(...draws: Uint8Array[]): NsmClient {
  let next = 0;
  const exchange = async (): Promise<Uint8Array> => {
    const random = draws[Math.min(next++, draws.length - 1)] ?? new Uint8Array();
    return encodeNsmResponse({ kind: "GetRandom", random });
  };
  return new NsmClient({ exchange }, new TestClock());
}

const drawOf = (value: number): Uint8Array => new Uint8Array(256).fill(value);
const goodNsm = (): NsmClient => nsmGiving(drawOf(1), drawOf(2), drawOf(3), drawOf(4));

/** A kernel that notes what was mixed into its pool; it credits unless it is told not to. */
function kernelPool(credit: () => void = () => undefined) {
  const credited: number[] = [];
  const mixed: number[] = [];
  const pool: KernelPool = {
    credit(bytes) {
      credit();
      credited.push(bytes[0] ?? 0);
    },
    mix: (bytes) => void mixed.push(bytes[0] ?? 0),
    hardwareGenerator: () => "nsm-hwrng",
  };
  return { pool, credited, mixed };
}

const refusal = (code: string) => () => {
  throw Object.assign(new Error("refused"), { code });
};

describe("seedRandomness", () => {
  it("mixes 1024 bytes of the NSM into the kernel's pool, credited, and says so", async () => {
    const { pool, credited, mixed } = kernelPool();
    const state = await seedRandomness(goodNsm(), pool);
    expect(state).toEqual({ seededBytes: 1_024, credited: true, hardwareGenerator: "nsm-hwrng" });
    expect([credited, mixed]).toEqual([[1, 2, 3, 4], []]);
  });

  it("mixes them all the same where the kernel credits nothing to this process, and says that", async () => {
    const { pool, credited, mixed } = kernelPool(refusal("EPERM"));
    expect(await seedRandomness(goodNsm(), pool)).toMatchObject({ seededBytes: 1_024, credited: false });
    expect([credited, mixed]).toEqual([[], [1, 2, 3, 4]]);
  });

  it("goes on until it has 1024 bytes when the NSM gives fewer at a time", async () => {
    const draws = Array.from({ length: 16 }, (_, index) => new Uint8Array(64).fill(index + 1));
    const { pool, credited } = kernelPool();
    expect(await seedRandomness(nsmGiving(...draws), pool)).toMatchObject({ seededBytes: 1_024 });
    expect(credited).toHaveLength(16);
  });

  it("fails where the pool fails", async () => {
    const { pool } = kernelPool(refusal("EIO"));
    await expect(seedRandomness(goodNsm(), pool)).rejects.toMatchObject({ code: "EIO" });
  });

  it.each<[string, NsmClient]>([
    ["nothing", nsmGiving(new Uint8Array())],
    ["zeros", nsmGiving(drawOf(1), drawOf(0))],
    ["the same bytes twice", nsmGiving(drawOf(1), drawOf(2), drawOf(2))],
  ])("pitfall 29: does not start on an NSM that gives %s", async (_, nsm) => {
    await expect(seedRandomness(nsm, kernelPool().pool)).rejects.toThrowCode("ERR_NSM");
  });
});
