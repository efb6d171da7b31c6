/** Pitfall 12: what an enclave does while its parent turns the wall clock, over a whole enclave. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { utf8 } from "../../shared/bytes.js";
import { requestOver } from "../../transport/http.js";
import { TestClock } from "./fakes.js";
import type { Kms } from "./stack.js";
import { startKmsForTest, startStack } from "./stack.js";

const DAY = 86_400_000;

/** A wall clock that the parent sets, and a monotonic one that it cannot. */
class ParentsClock extends TestClock {
  aheadMs = 0;

  override now(): Date {
    return new Date(Date.now() + this.aheadMs);
  }
}

let kms: Kms;
beforeAll(async () => {
  kms = await startKmsForTest();
});
afterAll(() => kms.simulation.close());

it("tokens begin and end by the NSM's time, and health says how far the wall clock is off", async () => {
  const clock = new ParentsClock();
  const stack = await startStack(kms, { clock });
  const expired = await kms.issuer.issue({ subject: "alice", lifetimeSeconds: -60 });
  const short = await kms.issuer.issue({ subject: "alice", lifetimeSeconds: 60 });
  const codeWith = async (token: string) => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const request = { method: "POST", path: "/v1/random", body: utf8("{}"), headers };
    const answer = await requestOver(stack.enclave.address, {
      ...{ ...request, deadlineMs: 20_000, maxResponseBytes: 10_000 },
    });
    return JSON.parse(Buffer.from(answer.body).toString()).code;
  };
  for (const aheadMs of [0, -DAY, DAY]) {
    clock.aheadMs = aheadMs;
    expect(await codeWith(expired)).toBe("ERR_TOKEN_TIME");
    expect(await codeWith(short)).toBe("ERR_MESSAGE_MALFORMED"); // past the token: the empty body is what is wrong
    const { body } = await stack.json("GET", "/healthz");
    const { wallAheadMs } = body.time as { wallAheadMs: number };
    expect(Math.abs(wallAheadMs - aheadMs)).toBeLessThan(60_000);
    expect(body.status).toBe(aheadMs === 0 ? "ok" : "degraded");
  }
  clock.aheadMs = 0;
  clock.advance(60_000 + 31_000); // and the skew that issuers are granted
  expect(await codeWith(short)).toBe("ERR_TOKEN_TIME");
});

it("a parent that turns the clock on makes credentials end early, which is told, and nothing else", async () => {
  const clock = new ParentsClock();
  const stack = await startStack(kms, { clock });
  clock.aheadMs = DAY;
  const answer = await stack.json("POST", "/v1/random", { numberOfBytes: 1 });
  expect(answer).toMatchObject({ status: 503, body: { code: "ERR_CREDENTIALS" } });
  clock.aheadMs = 0;
  expect(await stack.json("POST", "/v1/random", { numberOfBytes: 1 })).toMatchObject({ status: 200 });
  const { body } = await stack.json("GET", "/healthz");
  const { kmsAheadMs } = body.time as { kmsAheadMs: number };
  expect(Math.abs(kmsAheadMs)).toBeLessThan(60_000);
});
