/** The table of cases from AWS's documentation. */
import { describe, expect, it } from "vitest";
import { explainAuthorization } from "../../../simulator/iam/explanation.js";
import { ACROSS_ACCOUNTS_CASES } from "./cases/across-accounts.js";
import { outcomeOf, requestOf } from "./cases/case.js";
import { KMS_CONDITION_CASES } from "./cases/kms-conditions.js";
import { LIMIT_CASES } from "./cases/limits.js";
import { MULTIPLE_VALUE_CASES } from "./cases/multiple-values.js";
import { OPERATOR_CASES } from "./cases/operators.js";
import { ORGANISATION_CASES } from "./cases/organisation.js";
import { PRINCIPAL_CASES } from "./cases/principals.js";
import { STATEMENT_CASES } from "./cases/statements.js";
import { VARIABLE_CASES } from "./cases/variables.js";

const TOPICS = {
  statements: STATEMENT_CASES,
  principals: PRINCIPAL_CASES,
  operators: OPERATOR_CASES,
  "multiple values": MULTIPLE_VALUE_CASES,
  variables: VARIABLE_CASES,
  limits: LIMIT_CASES,
  organisation: ORGANISATION_CASES,
  "across accounts": ACROSS_ACCOUNTS_CASES,
  "condition keys of KMS": KMS_CONDITION_CASES,
};

describe.each(Object.entries(TOPICS))("%s", (_topic, cases) => {
  it.each(cases.map((one) => [one.name, one] as const))("%s", (_name, one) => {
    expect(outcomeOf(one)).toBe(one.ends);
    expect(explainAuthorization(requestOf(one)).reason).toBe(one.ends);
  });
});

describe("the table", () => {
  const all = Object.values(TOPICS).flat();

  it("has 150 cases and more, no two of a topic alike", () => {
    expect(all.length).toBeGreaterThanOrEqual(150);
    for (const cases of Object.values(TOPICS)) expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  it("names a page of AWS's documentation for each", () => {
    for (const { source } of all) expect(source.url).toMatch(/^https:\/\/docs\.aws\.amazon\.com\/.+\.html(#\S+)?$/);
  });
});
