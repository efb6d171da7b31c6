/** What `npm run measure` measures, at a size for tests: what is counted must be what was asked, and the same each time. */
import { describe, expect, it } from "vitest";
import { compareRuns, isOverBound } from "../../bench/measure/comparison.js";
import type { Outcome } from "../../bench/measure/measure-run.js";
import { measureRun } from "../../bench/measure/measure-run.js";
import { drawPlot } from "../../bench/measure/plot.js";
import { seededDraw, zipfian } from "../../bench/measure/random.js";
import { encodeResults, merged, readResults, writeResults } from "../../bench/measure/results.js";
import type { RunName } from "../../bench/measure/runs.js";
import { RUNS } from "../../bench/measure/runs.js";
import { TENANTS } from "../../bench/measure/workload.js";
import { testFolder } from "../support/folder.js";

const OBJECTS = 1_000;

async function measure(name: RunName, objects = OBJECTS): Promise<Outcome> {
  const run = RUNS.find((one) => one.name === name);
  if (run === undefined) throw new TypeError(`no run is called ${name}`);
  return measureRun(run, { objects, seed: 1, onProgress: () => undefined });
}

/** measureRun itself fails unless audit log and cost meter agree and every request is in the enclave's log once. */
describe("a run", () => {
  it("without caching asks KMS once for each object, either way", async () => {
    const outcome = await measure("none");
    expect(outcome.calls).toEqual({ GenerateDataKey: OBJECTS, Decrypt: OBJECTS });
    expect(outcome).toMatchObject({ auditLines: 2 * OBJECTS + TENANTS, refused: TENANTS, setUp: {} });
    expect(outcome.price).toBeCloseTo((2 * OBJECTS * 0.03) / 10_000, 9);
  });

  it("with branch keys asks KMS once for each tenant, whatever the context, and decides about every object", async () => {
    const outcome = await measure("branch, object in the context");
    const tenants = outcome.calls.Decrypt ?? 0;
    expect(outcome.calls).toEqual({ Decrypt: tenants });
    expect(tenants).toBeGreaterThan(TENANTS / 2);
    expect(tenants).toBeLessThanOrEqual(TENANTS);
    expect(outcome).toMatchObject({ auditLines: 2 * OBJECTS + TENANTS, refused: TENANTS });
    expect(outcome.setUp).toEqual({ GenerateDataKeyWithoutPlaintext: 2 * TENANTS, ReEncrypt: TENANTS });
  });

  it("with data key caching saves calls where objects share a context, and none for new objects where they do not", async () => {
    const [shared, own] = [await measure("cached"), await measure("cached, object in the context")];
    expect(shared.calls.GenerateDataKey).toBeLessThanOrEqual(TENANTS);
    expect(own.calls.GenerateDataKey).toBe(OBJECTS);
    expect(own.calls.Decrypt).toBeLessThan(OBJECTS); // of an object that is asked for again, its key is there
  });

  it("comes to the same with the same seed", async () => {
    const [first, second] = [await measure("cached", 300), await measure("cached", 300)];
    expect(second).toEqual(first);
  });
});

const OUTCOME: Outcome = {
  ...{ name: "none", seed: 1, encrypted: 1_000_000, decrypted: 1_000_000, refused: TENANTS, auditLines: 2_000_100 },
  ...{ calls: { GenerateDataKey: 1_000_000, Decrypt: 1_000_000 }, price: 6, setUp: {}, setUpPrice: 0 },
  bytesPerMessage: 600,
};
const branchOf = (Decrypt: number): Outcome => ({ ...OUTCOME, name: "branch", calls: { Decrypt }, price: 0.006 });

describe("the comparison", () => {
  it.each([
    { calls: 2_000, over: false },
    { calls: 2_001, over: true },
  ])("lets branch keys need a thousandth of the calls without caching: $calls", ({ calls, over }) => {
    expect(compareRuns([OUTCOME, branchOf(calls)]).some(isOverBound)).toBe(over);
  });

  it("counts the calls that make branch keys", () => {
    const outcome = { ...branchOf(1_900), setUp: { ReEncrypt: 101 } };
    expect(compareRuns([OUTCOME, outcome]).some(isOverBound)).toBe(true);
  });
});

describe("results", () => {
  it("come back from a file, with the newer outcome of a run in the older one's place", async () => {
    const file = `${testFolder()}/results.json`;
    expect(await readResults(file)).toEqual([]);
    await writeResults(file, merged([branchOf(1), OUTCOME], [branchOf(2)]));
    expect(await readResults(file)).toEqual([OUTCOME, branchOf(2)]);
  });

  it("are not taken from a file of something else", async () => {
    const file = `${testFolder()}/results.json`;
    await writeResults(file, []);
    await expect(readResults(import.meta.filename)).rejects.toThrow("has no results");
    expect(encodeResults([])).toContain('"runs": []');
  });
});

describe("the plot", () => {
  it("says in its description what it shows, and draws a bar for each run", () => {
    const plot = drawPlot(compareRuns([OUTCOME, branchOf(2_000)]));
    expect(plot).toContain("no caching: 1,000,000 · $3.00; branch keys, a context for each tenant: 1,000 · $0.0030");
    expect(plot.match(/<rect /g)).toHaveLength(2);
  });
});

describe("Zipf's law", () => {
  it("draws the first index twice as often as the second, and all of them", () => {
    const next = zipfian(10, seededDraw(7));
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 50_000; i++) {
      const index = next();
      counts[index] = (counts[index] ?? 0) + 1;
    }
    const [first = 0, second = 0] = counts;
    expect(first / second).toBeGreaterThan(1.9);
    expect(first / second).toBeLessThan(2.1);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });
});
