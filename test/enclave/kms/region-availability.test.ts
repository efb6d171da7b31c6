/** Which Region a call begins in, whatever happened before: a model that plays outages, answers and the passing of time. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RegionAttempt } from "../../../enclave/kms/region-availability.js";
import { RegionAvailability } from "../../../enclave/kms/region-availability.js";
import { ServiceError } from "../../../shared/errors.js";
import { memoryLog, TestClock } from "../fakes.js";

const REGIONS = ["us-east-1", "eu-west-1", "ap-northeast-1"] as const;
const REST_SECONDS = 30;
const outage = new ServiceError("ERR_KMS_UNAVAILABLE", "the connection to AWS KMS failed");

function setUp() {
  const clock = new TestClock();
  const log = memoryLog();
  return {
    clock,
    log,
    availability: new RegionAvailability({ regions: REGIONS, restSeconds: REST_SECONDS, clock, log }),
  };
}

/** How long each Region rests, as it should be. */
class Model {
  readonly restsUntilMs = new Map<string, number>();

  expected(nowMs: number): string {
    return REGIONS.find((region) => (this.restsUntilMs.get(region) ?? 0) <= nowMs) ?? REGIONS[0];
  }
}

type End = (attempt: RegionAttempt, model: Model, nowMs: number) => void;

const ENDS: readonly End[] = [
  (attempt, model) => {
    attempt.answered();
    model.restsUntilMs.delete(attempt.region);
  },
  (attempt, model, nowMs) => {
    expect(attempt.failed(outage)).toBe(true);
    model.restsUntilMs.set(attempt.region, nowMs + REST_SECONDS * 1_000);
  },
  (attempt) => attempt.abandoned(),
];

const step = fc.record({ passSeconds: fc.integer({ min: 0, max: REST_SECONDS + 1 }), end: fc.constantFrom(...ENDS) });

describe("RegionAvailability", () => {
  it("begins in the first Region that does not rest; in the first of all where every one rests", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { availability, clock } = setUp();
        const model = new Model();
        for (const { passSeconds, end } of steps) {
          clock.advance(passSeconds * 1_000);
          const attempt = availability.begin(REGIONS);
          expect(attempt.region).toBe(model.expected(clock.monotonicMs()));
          end(attempt, model, clock.monotonicMs());
        }
        const resting = availability.state.filter(({ status }) => status === "resting").map(({ region }) => region);
        expect(new Set(resting)).toEqual(new Set(model.restsUntilMs.keys()));
      }),
      { numRuns: 300 },
    );
  });

  it("lets one call at a time ask a Region whose rest is over, however many begin meanwhile", () => {
    const { availability, clock } = setUp();
    availability.begin(REGIONS).failed(outage);
    clock.advance(REST_SECONDS * 1_000);
    const probe = availability.begin(REGIONS);
    const meanwhile = [1, 2, 3].map(() => availability.begin(REGIONS).region);
    expect([probe.region, ...meanwhile]).toEqual([REGIONS[0], REGIONS[1], REGIONS[1], REGIONS[1]]);
    probe.abandoned();
    expect(availability.begin(REGIONS).region).toBe(REGIONS[0]);
  });

  it("says once in the log that a Region rests, however many calls find out, and once that it answers again", () => {
    const { availability, log } = setUp();
    const attempts = [1, 2, 3].map(() => availability.begin(REGIONS));
    for (const attempt of attempts) attempt.failed(outage);
    for (const attempt of attempts) attempt.answered();
    expect(log.entries.map(({ level, fields }) => [level, fields.region])).toEqual([
      ["warn", REGIONS[0]],
      ["info", REGIONS[0]],
    ]);
  });
});
