import { describe, expect, it } from "vitest";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import { Report } from "../vm/host/report.js";
import { formatResult } from "../vm/results.js";
import type { ProductionRun } from "./host/host-checks.js";
import { productionChecks, reportChecks } from "./host/host-checks.js";
import { MODULE_ID } from "./launch.js";

const configuration = utf8("{}");
const measured = async (): Promise<string> => {
  const configurationPcr = toHex(await pcr16OfConfiguration(configuration));
  const message = "measured the configuration into PCR16";
  return JSON.stringify({ level: "info", message, moduleId: MODULE_ID, configurationPcr });
};
const REFUSED = '{"level":"error","message":"the enclave does not start","code":"ERR_COSE_ALGORITHM"}';
const ENDED = "init: the program ended with status 1";

const baseline = async (): Promise<ProductionRun> => ({
  configuration,
  console: ["[    0.0] the kernel's", await measured(), REFUSED, ENDED],
  states: [{ state: "failed", code: "ERR_COSE_ALGORITHM" }],
  result: { ended: "off", heartbeats: [0xb7] },
});

/** The last line of the report, and the numbers of the checks that failed. */
async function outcomeOf(run: ProductionRun): Promise<{ last: string | undefined; failed: number[] }> {
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const report = new Report({ say, progress: say, isVerbose: false });
  await reportChecks(report, productionChecks(run));
  report.line(formatResult({ end: true }));
  report.finish(undefined);
  const results = said.filter((line) => /^(not )?ok - /.test(line));
  const failed = results.flatMap((line, index) => (line.startsWith("not") ? [index] : []));
  return { last: said.at(-1), failed };
}

describe("what the host finds out of the production program", () => {
  it("passes when it measured, refused, reported and ended", async () => {
    expect(await outcomeOf(await baseline())).toEqual({ last: "5 passed, 0 failed", failed: [] });
  });

  it.each<[string, number, (run: ProductionRun) => Partial<ProductionRun>]>([
    ["no heartbeat", 0, ({ result }) => ({ result: { ...result, heartbeats: [] } })],
    ["another configuration", 1, () => ({ configuration: utf8("{ }") })],
    ["no reason on its console", 2, ({ console }) => ({ console: console.filter((line) => line !== REFUSED) })],
    ["another report", 3, () => ({ states: [{ state: "failed", code: "ERR_NSM" }] })],
    ["a second report", 3, ({ states }) => ({ states: [...states, ...states] })],
    ["a program that did not end", 4, ({ console }) => ({ console: console.filter((line) => line !== ENDED) })],
    ["a machine that was late", 4, ({ result }) => ({ result: { ...result, ended: "late" } })],
  ])("fails with %s, and nothing else does", async (_, index, change) => {
    const run = await baseline();
    expect(await outcomeOf({ ...run, ...change(run) })).toEqual({ last: "4 passed, 1 failed", failed: [index] });
  });
});
