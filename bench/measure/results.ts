/** The outcomes of runs in a file, JSON: it can be added to, run by run, and table and plot are made from it. */
import { readFile, writeFile } from "node:fs/promises";
import { z } from "zod";
import { hasCode } from "../../simulator/storage/storage-error.js";
import type { Outcome } from "./measure-run.js";
import { REQUESTS_PER_SECOND } from "./measure-run.js";
import { RUNS } from "./runs.js";
import { OBJECT_BYTES, TENANTS } from "./workload.js";

const count = z.int().min(0);
const calls = z.record(z.string(), count);
const outcome = z.strictObject({
  ...{ name: z.enum(RUNS.map(({ name }) => name)), seed: count },
  ...{ encrypted: count, decrypted: count, refused: count, auditLines: count },
  ...{ calls, price: z.number(), setUp: calls, setUpPrice: z.number(), bytesPerMessage: count },
});

/** The workload that they are of; outcomes of another are not put beside them. */
const WORKLOAD = { tenants: TENANTS, objectBytes: OBJECT_BYTES, requestsPerSecond: REQUESTS_PER_SECOND };
const results = z.strictObject({
  workload: z.strictObject({
    tenants: z.literal(WORKLOAD.tenants),
    objectBytes: z.literal(WORKLOAD.objectBytes),
    requestsPerSecond: z.literal(WORKLOAD.requestsPerSecond),
  }),
  runs: z.array(outcome),
});

/** What is in a file; nothing, where there is none. @throws Error where it has something else */
export async function readResults(file: string): Promise<Outcome[]> {
  try {
    return results.parse(JSON.parse(await readFile(file, "utf8"))).runs;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw new Error(`${file} has no results of this measurement`, { cause: error });
  }
}

export async function writeResults(file: string, runs: readonly Outcome[]): Promise<void> {
  await writeFile(file, encodeResults(runs));
}

export const encodeResults = (runs: readonly Outcome[]): string =>
  `${JSON.stringify({ workload: WORKLOAD, runs }, null, 2)}\n`;

/** `older` and `newer` in the order of the runs; of one run the newer outcome. */
export function merged(older: readonly Outcome[], newer: readonly Outcome[]): Outcome[] {
  return RUNS.flatMap(({ name }) => {
    const last = [...newer, ...older].find((outcome) => outcome.name === name);
    return last === undefined ? [] : [last];
  });
}
