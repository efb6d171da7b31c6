/**
 * `npm run measure`: what encrypting and decrypting many small objects asks of KMS, and what that costs, without caching, with
 * data key caching, and with branch keys. All runs take hours, nearly all of it the calls without caching: `--kind` measures
 * one kind, and `--results` gathers what was measured at different times.
 *
 *   --objects N     objects of each run, encrypted once and decrypted as often by Zipf's law; 1000000 unless given
 *   --kind KIND     none, cached or branch; all of them unless given
 *   --seed N        of the choice of tenants and objects; 1 unless given
 *   --results FILE  outcomes, JSON: those in it are kept, and those of this run added
 *   --merge FILE    outcomes of another file besides; may be given again
 *   --report        measures nothing: tells what is in the files
 *   --svg FILE      draws the plot
 *   --json          prints the outcomes instead of a table
 *
 * Exits with 1 when branch keys need more than a thousandth of the calls without caching, in runs of a million objects and more.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { compareRuns, isOverBound } from "./measure/comparison.js";
import type { Outcome } from "./measure/measure-run.js";
import { measureRun } from "./measure/measure-run.js";
import { drawPlot } from "./measure/plot.js";
import { formatComparisons } from "./measure/report.js";
import { encodeResults, merged, readResults, writeResults } from "./measure/results.js";
import type { Run } from "./measure/runs.js";
import { RUNS } from "./measure/runs.js";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "1000000" },
    kind: { type: "string" },
    seed: { type: "string", default: "1" },
    results: { type: "string" },
    merge: { type: "string", multiple: true, default: [] },
    report: { type: "boolean", default: false },
    svg: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

const PROGRESS_MS = 10_000;

/** Tells on stderr, now and then, how far a run is. */
function progressOf({ title }: Run, requests: number): (served: number) => void {
  const startedAt = performance.now();
  let toldAt = startedAt;
  return (served) => {
    const now = performance.now();
    if (now - toldAt < PROGRESS_MS) return;
    toldAt = now;
    const perSecond = (served * 1_000) / (now - startedAt);
    const minutesLeft = (requests - served) / perSecond / 60;
    console.error(`${title}: ${served} of ${requests}, ${perSecond.toFixed(0)}/s, ${minutesLeft.toFixed(1)} min left`);
  };
}

function chosenRuns(): readonly Run[] {
  const { kind, report } = values;
  if (report) return [];
  const chosen = RUNS.filter((run) => kind === undefined || run.kind === kind);
  if (chosen.length === 0) throw new Error("--kind: expected none, cached or branch");
  return chosen;
}

function numberOf(name: "objects" | "seed"): number {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name}: expected a whole number above 0`);
  return value;
}

const [objects, seed] = [numberOf("objects"), numberOf("seed")];
let outcomes: readonly Outcome[] = [];
for (const file of [...values.merge, ...(values.results === undefined ? [] : [values.results])]) {
  outcomes = merged(outcomes, await readResults(file));
}
for (const run of chosenRuns()) {
  const count = Math.ceil(objects * run.share);
  const outcome = await measureRun(run, { objects: count, seed, onProgress: progressOf(run, 2 * count) });
  outcomes = merged(outcomes, [outcome]);
  if (values.results !== undefined) await writeResults(values.results, outcomes);
}
if (values.report && values.results !== undefined) await writeResults(values.results, outcomes);
const comparisons = compareRuns(outcomes);
console.log(values.json ? encodeResults(outcomes).trimEnd() : formatComparisons(comparisons));
if (values.svg !== undefined) await writeFile(values.svg, drawPlot(comparisons));
if (comparisons.some(isOverBound)) process.exitCode = 1;
