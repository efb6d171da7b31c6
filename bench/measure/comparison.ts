/** Outcomes beside the run without caching, as calls to KMS for each request: runs of different lengths compare by that. */
import type { Outcome } from "./measure-run.js";
import type { Calls } from "./measured-kms.js";
import type { Run } from "./runs.js";
import { RUNS } from "./runs.js";

/** Branch keys may need so many of the calls that are made without caching. */
export const BOUND = 1 / 1_000;
/** Shorter runs are not judged: each tenant's key has to be fetched once, however few requests there are. */
const JUDGED_OBJECTS = 1_000_000;
const MILLION = 1_000_000;

export interface Comparison {
  readonly run: Run;
  readonly outcome: Outcome;
  readonly requests: number;
  /** Calls to KMS, what was set up included. */
  readonly calls: number;
  readonly callsPerMillion: number;
  /** US dollars for a million requests. */
  readonly pricePerMillion: number;
  /** Of the calls that the same requests take without caching; undefined where that was not measured. */
  readonly ratio: number | undefined;
}

export function compareRuns(outcomes: readonly Outcome[]): Comparison[] {
  const uncached = outcomes.find(({ name }) => name === "none");
  return RUNS.flatMap((run) => {
    const outcome = outcomes.find(({ name }) => name === run.name);
    return outcome === undefined ? [] : [comparison(run, outcome, uncached)];
  });
}

function comparison(run: Run, outcome: Outcome, uncached: Outcome | undefined): Comparison {
  const requests = requestsOf(outcome);
  const calls = callsOf(outcome);
  return {
    ...{ run, outcome, requests, calls },
    callsPerMillion: (calls / requests) * MILLION,
    pricePerMillion: ((outcome.price + outcome.setUpPrice) / requests) * MILLION,
    ratio: uncached && calls / requests / (callsOf(uncached) / requestsOf(uncached)),
  };
}

const requestsOf = ({ encrypted, decrypted }: Outcome): number => encrypted + decrypted;
const total = (calls: Calls): number => Object.values(calls).reduce((sum, count) => sum + count, 0);
const callsOf = ({ calls, setUp }: Outcome): number => total(calls) + total(setUp);

/** Whether branch keys needed more calls than they may. */
export const isOverBound = ({ run, outcome, ratio }: Comparison): boolean =>
  run.kind === "branch" && outcome.encrypted >= JUDGED_OBJECTS && ratio !== undefined && ratio > BOUND;
