/** Which connections of enclaves a parent takes, by their CIDs; on the addon's test binary, which opens addresses on vsock. */
import { expect, onTestFinished, test } from "vitest";
import { EnclavePool } from "../../parent/enclave-pool.js";
import { enclaveOfCid } from "../../parent/index.js";
import { DEFAULT_LIMITS } from "../../parent/limits.js";
import { createMetrics } from "../../parent/metrics.js";
import { describeNative } from "../support/vsock.js";
import { memoryLog } from "./fakes.js";

async function poolOf(...cids: number[]): Promise<EnclavePool> {
  const context = { limits: DEFAULT_LIMITS, log: memoryLog().logger, metrics: createMetrics(() => undefined) };
  const pool = await EnclavePool.create(cids.map(enclaveOfCid), context);
  onTestFinished(() => pool.close());
  return pool;
}

describeNative("connections of enclaves", () => {
  test("are taken of those that the parent has, and of no other", async () => {
    const pool = await poolOf(16, 17);
    expect([16, 17, 18, 3].map((cid) => pool.allowPeer(cid, 0, 256))).toEqual([true, true, false, false]);
  });

  test("are taken up to an enclave's share of the places, so that it crowds out no other", async () => {
    const taken = (pool: EnclavePool, places: number): number => {
      let open = 0;
      while (pool.allowPeer(16, open, places)) open += 1;
      return open;
    };
    expect(taken(await poolOf(16), 256)).toBe(256);
    expect(taken(await poolOf(16, 17), 256)).toBe(128);
    expect(taken(await poolOf(16, 17, 18), 256)).toBe(85);
    expect(taken(await poolOf(16, 17, 18), 2)).toBe(1);
  });
});
