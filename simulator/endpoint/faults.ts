/**
 * Faults on demand: what a program that calls KMS has to bear, made to happen. A plan is a list of faults, each for some
 * operations, Regions and a share of the calls. The share is exact and not random, so that a test sees the same twice: of
 * four calls at a rate of 0.25 it is the fourth that fails.
 */
import { z } from "zod";
import { AwsError, throttled } from "../errors.js";
import { OPERATIONS as KMS_OPERATIONS } from "../kms/operations/table.js";
import { isRegionName } from "../kms/regions.js";
import { OPERATIONS as STS_OPERATIONS } from "../sts/service.js";

const MAX_LATENCY_MS = 60_000;
const YEAR_SECONDS = 366 * 24 * 3600;

const OPERATIONS = new Set([...KMS_OPERATIONS.keys(), ...STS_OPERATIONS.keys(), "LookupEvents"]);

const operation = z.string().refine((name) => OPERATIONS.has(name), {
  error: ({ input }) => `expected an operation of KMS, STS or CloudTrail, got ${JSON.stringify(input)}`,
});
const region = z.string().refine(isRegionName, {
  error: ({ input }) => `expected the name of an AWS Region, got ${JSON.stringify(input)}`,
});

const scope = {
  /** Names of operations; all if left out. */
  operations: z.array(operation).min(1).max(64).optional(),
  /** Names of Regions; all if left out. */
  regions: z.array(region).min(1).max(64).optional(),
  /** The share of the calls in scope that it hits. */
  rate: z.number().gt(0).max(1).default(1),
  /** How many calls it hits at most. */
  times: z.int().min(1).max(1_000_000).optional(),
};

const fault = z.discriminatedUnion("fault", [
  z.strictObject({
    fault: z.enum(["ThrottlingException", "KMSInternalException", "DependencyTimeoutException"]),
    ...scope,
  }),
  z.strictObject({ fault: z.literal("latency"), milliseconds: z.int().min(0).max(MAX_LATENCY_MS), ...scope }),
  z.strictObject({ fault: z.literal("connection-reset"), ...scope }),
  z.strictObject({ fault: z.literal("region-down"), regions: z.array(region).min(1).max(64) }),
]);

/** What shall go wrong. */
export const faultPlan = z.strictObject({
  faults: z.array(fault).max(100).default([]),
  /** How far the server's clock is ahead of the right time; negative if behind. */
  clockOffsetSeconds: z.int().min(-YEAR_SECONDS).max(YEAR_SECONDS).default(0),
});

export type FaultPlan = z.infer<typeof faultPlan>;
type Fault = FaultPlan["faults"][number];

/** A call as far as faults look at it. */
export interface FaultScope {
  readonly operation: string;
  readonly region: string;
}

const NO_FAULTS: FaultPlan = { faults: [], clockOffsetSeconds: 0 };

/** The errors as KMS answers them (API reference, "Common errors"; Developer Guide, "Throttling AWS KMS requests"). */
const ERRORS: Readonly<Record<string, () => AwsError>> = {
  ThrottlingException: throttled,
  KMSInternalException: () => new AwsError("KMSInternalException", "", 500),
  DependencyTimeoutException: () => new AwsError("DependencyTimeoutException", "", 503),
};

/** The plan that is in force, and how often each of its faults has been due. */
export class Faults {
  #plan = NO_FAULTS;
  #counts = new Map<Fault, { due: number; hits: number }>();

  get plan(): FaultPlan {
    return this.#plan;
  }

  /** Puts a plan in force, counted from its start. @throws ZodError if it is none */
  set(plan: z.input<typeof faultPlan>): void {
    this.#plan = faultPlan.parse(plan);
    this.#counts = new Map(this.#plan.faults.map((one) => [one, { due: 0, hits: 0 }]));
  }

  /** What a call suffers before it reaches its service: a wait, and perhaps the end of its connection. */
  onConnection(call: FaultScope): { readonly latencyMs: number; readonly reset: boolean } {
    let latencyMs = 0;
    let reset = false;
    for (const one of this.#plan.faults) {
      if (one.fault === "latency" && this.#hits(one, call)) latencyMs += one.milliseconds;
      if (one.fault === "connection-reset" && this.#hits(one, call)) reset = true;
      if (one.fault === "region-down" && one.regions.includes(call.region)) reset = true;
    }
    return { latencyMs: Math.min(latencyMs, MAX_LATENCY_MS), reset };
  }

  /** @throws AwsError the error that the call is to have in place of its answer */
  throwDue(call: FaultScope): void {
    for (const one of this.#plan.faults) {
      const error = ERRORS[one.fault];
      if (error !== undefined && this.#hits(one, call)) throw error();
    }
  }

  #hits(one: Fault, { operation, region }: FaultScope): boolean {
    const count = this.#counts.get(one);
    if (count === undefined || one.fault === "region-down") return false;
    if (one.operations?.includes(operation) === false || one.regions?.includes(region) === false) return false;
    if (one.times !== undefined && count.hits >= one.times) return false;
    count.due += one.rate;
    if (count.due < 1 - 1e-9) return false;
    count.due -= 1;
    count.hits++;
    return true;
  }
}
