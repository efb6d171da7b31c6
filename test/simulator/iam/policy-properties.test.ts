/** What holds of every decision, whatever the policies. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { authorize } from "../../../simulator/iam/authorization.js";
import { explainAuthorization } from "../../../simulator/iam/explanation.js";
import { compileGlob } from "../../../simulator/iam/policy/pattern.js";
import type { PolicyCase, Statements } from "./cases/case.js";
import {
  ALICE,
  BOB,
  deny,
  KEY,
  OTHER_ROOT,
  outcomeOf,
  ROOT,
  ROOT_USER,
  requestOf,
  SERVICE,
  SESSION,
} from "./cases/case.js";
import { EVALUATION } from "./cases/sources.js";

const oneOf = <Value>(...values: readonly Value[]): fc.Arbitrary<Value> => fc.constantFrom(...values);
/** Mostly the first. */
const mostly = <Value>(usual: Value, ...others: readonly Value[]): fc.Arbitrary<Value> =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 3 }, { arbitrary: oneOf(...others), weight: 1 });

const condition = mostly<object | undefined>(
  undefined,
  { StringEquals: { "kms:EncryptionContext:team": "a" } },
  { StringNotEquals: { "kms:EncryptionContext:team": "a" } },
  { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["team"] } },
  { StringLike: { "kms:EncryptionContext:team": `\${aws:PrincipalTag/team}` } },
  { Null: { "kms:EncryptionContextKeys": "true" } },
);
const statement = fc.record({
  Effect: mostly("Allow", "Allow", "Deny"),
  Action: mostly<string | string[]>("kms:*", "kms:Decrypt", "kms:Encrypt", ["kms:D*", "s3:*"]),
  Resource: mostly("*", KEY, `${KEY}0`),
  Condition: condition,
});
const principal = oneOf<string | object>(
  "*",
  { AWS: ROOT },
  { AWS: OTHER_ROOT },
  { AWS: ALICE.arn },
  { AWS: SESSION.roleArn },
  { AWS: SESSION.arn },
  { Service: SERVICE.arn },
);
const named = fc.tuple(statement, principal).map(([one, Principal]) => ({ ...one, Principal }));
const policy = fc.array(statement, { minLength: 1, maxLength: 3 });
const policies = fc.array(policy, { maxLength: 2 });
const levels = fc.array(fc.array(policy, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 });
const controls = fc.array(
  fc.array(
    statement.map((one): Statements => ({ ...one, Effect: "Deny", Principal: "*" })),
    { maxLength: 1 },
  ),
  { maxLength: 2 },
);
const values = fc.record(
  {
    "kms:EncryptionContext:team": oneOf("a", "b"),
    "kms:EncryptionContextKeys": oneOf(["team"], ["team", "stage"]),
    "aws:PrincipalTag/team": oneOf("a", "*"),
  },
  { requiredKeys: [] },
);

/** Any request, its policies given as they would be put. */
const anyCase: fc.Arbitrary<PolicyCase> = fc
  .record(
    {
      caller: oneOf(ALICE, BOB, ROOT_USER, SERVICE, SESSION),
      keyPolicy: fc.array(named, { minLength: 1, maxLength: 3 }),
      identityPolicies: policies,
      values,
      boundary: policy,
      sessionPolicies: policies,
      serviceControlPolicies: levels,
      resourceControlPolicies: controls,
      endpointPolicy: fc.array(named, { minLength: 1, maxLength: 2 }),
      granted: fc.boolean(),
    },
    { requiredKeys: ["caller", "keyPolicy", "identityPolicies", "values"] },
  )
  .map((one) => ({ ...one, name: "any", source: EVALUATION, ends: "allowed" }));

const isAllowed = (one: PolicyCase): boolean => outcomeOf(one) === "allowed";
const everythingOfItsOwn = deny();
const everything = deny({ Principal: "*" });

describe("a decision", () => {
  it("is allowed and denied often enough for the properties to mean something", () => {
    const sample = fc.sample(anyCase, { numRuns: 2_000, seed: 1 }).filter(isAllowed);
    expect(sample.length).toBeGreaterThan(100);
    expect(sample.length).toBeLessThan(1_900);
  });

  it("is no in the face of a deny in any policy, whatever else allows", () => {
    fc.assert(
      fc.property(anyCase, (one) => {
        const { keyPolicy, identityPolicies = [] } = one;
        expect(outcomeOf({ ...one, keyPolicy: [keyPolicy ?? [], everything].flat() })).toMatch(/^denied-by-/);
        const denies: readonly Partial<PolicyCase>[] = [
          { identityPolicies: [...identityPolicies, everythingOfItsOwn] },
          { boundary: everythingOfItsOwn },
          { sessionPolicies: [...(one.sessionPolicies ?? []), everythingOfItsOwn] },
          { endpointPolicy: [one.endpointPolicy ?? [], everything].flat() },
          { resourceControlPolicies: [...(one.resourceControlPolicies ?? []), [everything]] },
        ];
        for (const change of denies) expect(outcomeOf({ ...one, ...change })).toMatch(/^denied-by-/);
      }),
    );
  });

  it("never becomes yes by one deny more", () => {
    fc.assert(
      fc.property(anyCase, statement, principal, (one, added, Principal) => {
        const { identityPolicies = [], keyPolicy } = one;
        const Effect = "Deny";
        const changed = [
          { ...one, identityPolicies: [...identityPolicies, { ...added, Effect }] },
          { ...one, keyPolicy: [keyPolicy ?? [], { ...added, Effect, Principal }].flat() },
        ];
        for (const more of changed) if (isAllowed(more)) expect(isAllowed(one)).toBe(true);
      }),
    );
  });

  it("does not depend on the order of statements and policies", () => {
    const reversed = (statements: Statements | null | undefined) => [statements ?? []].flat().reverse();
    fc.assert(
      fc.property(anyCase, (one) => {
        const { identityPolicies = [], serviceControlPolicies: service } = one;
        const turned: PolicyCase = {
          ...one,
          keyPolicy: reversed(one.keyPolicy),
          identityPolicies: identityPolicies.map(reversed).reverse(),
          ...(service && { serviceControlPolicies: service.map((level) => level.map(reversed).reverse()).reverse() }),
        };
        expect(outcomeOf(turned)).toBe(outcomeOf(one));
      }),
    );
  });

  it("never becomes yes by a policy that limits", () => {
    fc.assert(
      fc.property(anyCase, (one) => {
        const limits = ["boundary", "sessionPolicies", "serviceControlPolicies", "resourceControlPolicies"] as const;
        for (const limit of [...limits, "endpointPolicy" as const]) {
          const { [limit]: _limit, ...without } = one;
          if (isAllowed(one)) expect(isAllowed(without)).toBe(true);
        }
      }),
    );
  });

  it("is the one that its explanation gives, and the explanation's statements bear it out", () => {
    fc.assert(
      fc.property(anyCase, (one) => {
        const request = requestOf(one);
        const { allowed, reason, policies: asked } = explainAuthorization(request);
        expect({ allowed, reason }).toEqual(authorize(request));
        for (const { statements, answer } of asked) {
          const matched = statements.filter((each) => each.matched);
          for (const each of statements) expect(each.matched).toBe(each.elements.every((element) => element.matched));
          expect(answer === "deny").toBe(matched.some(({ effect }) => effect === "Deny"));
          expect(answer === "silent").toBe(matched.length === 0);
        }
      }),
    );
  });
});

describe("a pattern", () => {
  const text = fc.string({ unit: oneOf("a", "b", "*", "?", ".") });

  it("matches what a regular expression of the same meaning matches", () => {
    const expression = (pattern: string) =>
      new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", ".*").replaceAll("?", ".")}$`);
    fc.assert(
      fc.property(text, text, (pattern, actual) => {
        expect(compileGlob(pattern)(actual)).toBe(expression(pattern).test(actual));
      }),
    );
  });
});
