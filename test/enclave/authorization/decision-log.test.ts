/** What a decision leaves in the log, and what it must not. */
import { describe, expect, it } from "vitest";
import { DecisionLog } from "../../../enclave/authorization/decision-log.js";
import type { DecisionRequest } from "../../../enclave/authorization/request.js";
import { CARDS, callerWith, policyOf, REQUEST } from "./example.js";

const PAIRS = { tenant: "acme", patient: "Jane Roe" };
const ASKED: DecisionRequest = {
  ...REQUEST,
  ...callerWith({ tenant: "acme", email: "alice@example" }),
  encryptionContext: PAIRS,
};

describe("a decision in the log", () => {
  it("has who, what, key, channel, verdict and policies", () => {
    const fields = new DecisionLog([]).fieldsOf(REQUEST, policyOf().decide(REQUEST));
    expect(fields).toEqual({
      principal: "corp/alice",
      action: "decrypt",
      keyArn: CARDS.arn,
      contextHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      channel: "sealed",
      decision: "permit",
      policyIds: ["own cards"],
    });
  });

  it("has a denial with the policy that forbids it", () => {
    const asked = { ...REQUEST, channel: "parent" as const };
    expect(new DecisionLog([]).fieldsOf(asked, policyOf().decide(asked))).toMatchObject({
      decision: "deny",
      policyIds: ["not by the parent"],
    });
  });

  it("has no key where none is asked for", () => {
    const asked = { ...REQUEST, action: "random", key: undefined };
    expect(new DecisionLog([]).fieldsOf(asked, policyOf().decide(asked))).not.toHaveProperty("keyArn");
  });

  it("pitfall 25: has no value of the context and no claim", () => {
    const text = JSON.stringify(new DecisionLog([]).fieldsOf(ASKED, policyOf().decide(ASKED)));
    for (const secret of ["acme", "Jane Roe", "patient", "alice@example"]) expect(text).not.toContain(secret);
  });

  it("has the values of those pairs that the configuration names, and of no other", () => {
    const fields = new DecisionLog(["tenant", "absent"]).fieldsOf(ASKED, policyOf().decide(ASKED));
    expect(fields.loggedContext).toEqual({ tenant: "acme" });
    expect(JSON.stringify(fields)).not.toContain("Jane Roe");
  });

  it("has one hash for one context, whatever the order of its pairs, and others for others", () => {
    const log = new DecisionLog([]);
    const hash = (encryptionContext: Readonly<Record<string, string>>) =>
      log.fieldsOf({ ...REQUEST, encryptionContext }, policyOf().decide(REQUEST)).contextHash;
    expect(hash({ a: "1", b: "2" })).toBe(hash({ b: "2", a: "1" }));
    const others = [{ a: "1" }, { a: "1b", "": "2" }, { a: "2", b: "1" }, { ab: "12" }, {}].map(hash);
    expect(new Set([hash({ a: "1", b: "2" }), ...others]).size).toBe(others.length + 1);
  });

  it("has a hash that nobody else can make: it is keyed anew at every start", () => {
    const decision = policyOf().decide(REQUEST);
    const [one, other] = [new DecisionLog([]), new DecisionLog([])].map((log) => log.fieldsOf(REQUEST, decision));
    expect(one?.contextHash).not.toBe(other?.contextHash);
  });
});
