import { describe, expect, it } from "vitest";
import { reportState } from "../../../enclave/program/state-report.js";
import { ServiceError } from "../../../shared/errors.js";
import { settle, TestClock } from "../fakes.js";

const SERVING = { state: "serving", configurationPcr: "ab".repeat(48) } as const;

/** A parent that fails so many times before it answers. */
function parentAfter(failures: number) {
  const bodies: string[] = [];
  const request = async ({ path, body }: { path: string; body?: Uint8Array }): Promise<string> => {
    bodies.push(`${path} ${new TextDecoder().decode(body)}`);
    if (bodies.length <= failures) throw new ServiceError("ERR_ADDRESS", "nobody listens yet");
    return "{}";
  };
  return { services: { request }, bodies };
}

/** Lets all attempts pass. */
async function pass(clock: TestClock, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await settle();
    clock.advance(1_000);
  }
}

describe("reportState", () => {
  it("tells the parent", async () => {
    const { services, bodies } = parentAfter(0);
    expect(await reportState(SERVING, { services, clock: new TestClock(), attempts: 1 })).toBe(true);
    expect(bodies).toEqual([`/enclave-state ${JSON.stringify(SERVING)}`]);
  });

  it("tells a parent that starts later", async () => {
    const clock = new TestClock();
    const { services, bodies } = parentAfter(2);
    const told = reportState({ state: "failed", code: "ERR_CONFIGURATION" }, { services, clock, attempts: 5 });
    await pass(clock, 2);
    expect(await told).toBe(true);
    expect(bodies).toHaveLength(3);
  });

  it("gives up after so many attempts", async () => {
    const clock = new TestClock();
    const { services, bodies } = parentAfter(9);
    const told = reportState(SERVING, { services, clock, attempts: 3 });
    await pass(clock, 3);
    expect(await told).toBe(false);
    expect(bodies).toHaveLength(3);
  });
});
