import { expect, it } from "vitest";
import { SharedPolicies } from "../../../simulator/iam/policy/shared-policies.js";
import { DELEGATION } from "./cases/case.js";

const text = JSON.stringify({ Version: "2012-10-17", Statement: DELEGATION });

it("one policy for one text, and another for another", () => {
  const policies = new SharedPolicies();
  const policy = policies.keyPolicy(text);
  expect(policies.keyPolicy(text)).toBe(policy);
  expect(policies.keyPolicy(`${text} `)).not.toBe(policy);
  expect(policies.keyPolicy(`${text} `).text).toBe(`${text} `);
});

it("a malformed policy is refused each time", () => {
  const policies = new SharedPolicies();
  for (let i = 0; i < 2; i++) expect(() => policies.keyPolicy("{")).toThrow("This policy contains invalid Json");
});
