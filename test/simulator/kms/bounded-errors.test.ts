/** What is wrong with a request is told in an answer that is not many times as long as the request. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { signRequest } from "../../../simulator/iam/sign-request.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock, protocol: "http" });
});
afterAll(() => kms.close());

/** The text of the error that a request of our own making gets; the SDK would not send such ones. */
async function errorTextOf(operation: string, input: object): Promise<string> {
  const body = Buffer.from(JSON.stringify(input));
  const target = `TrentService.${operation}`;
  const unsigned = { host: `localhost:${kms.port}`, operation: target, body, region: kms.region, service: "kms" };
  const { host: _, ...headers } = signRequest({ ...unsigned, now: clock() }, kms.operator);
  const response = await fetch(kms.endpoint, { method: "POST", headers, body });
  const { __type: type, message } = await response.json();
  return `${type}: ${message}`;
}

it("a list of 170,000 wrong tags is one failure", async () => {
  const Tags = Array.from({ length: 170_000 }, () => ({}));
  expect(await errorTextOf("TagResource", { KeyId: "x", Tags })).toBe(
    "ValidationException: 1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 1000",
  );
});

it("of a thousand failures fifty are told, and all are counted", async () => {
  const text = await errorTextOf("TagResource", { KeyId: "x", Tags: Array.from({ length: 1_000 }, () => ({})) });
  expect(text).toContain("2000 validation errors detected: ");
  expect(text.split("; ")).toHaveLength(50);
});

it("a long text is in the audit record as far as CloudTrail keeps one", async () => {
  await errorTextOf("DescribeKey", { KeyId: "k".repeat(500_000) });
  expect(kms.auditLog.records.at(-1)?.errorMessage).toHaveLength(1_024);
});
