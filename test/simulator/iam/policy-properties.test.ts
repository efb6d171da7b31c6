/** What holds of every decision, whatever the policies. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AwsError } from "../../../simulator/errors.js";
import { authorize } from "../../../simulator/iam/authorization.js";
import { explainAuthorization } from "../../../simulator/iam/explanation.js";
import {
  compileEndpointPolicy,
  compileIdentityPolicy,
  compileKeyPolicy,
  compileResourceControlPolicy,
  compileTrustPolicy,
} from "../../../simulator/iam/policy/compile.js";
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
  fc.oneof({ arbitrary: fc.constant(usual), weight: 5 }, { arbitrary: oneOf(...others), weight: 1 });

const condition = mostly<object | undefined>(
  undefined,
  { StringEquals: { "kms:EncryptionContext:team": "a" } },
  { StringNotEquals: { "kms:EncryptionContext:team": "a" } },
  { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["team"] } },
  { StringLike: { "kms:EncryptionContext:team": `\${aws:PrincipalTag/team}` } },
  { Null: { "kms:EncryptionContextKeys": "true" } },
);
const statement = fc.record({
  Effect: mostly("Allow", "Deny"),
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
const withPrincipal = ([one, Principal]: readonly [object, unknown]) => ({ ...one, Principal });
const named = fc.tuple(statement, principal).map(withPrincipal);
const policy = fc.array(statement, { minLength: 1, maxLength: 3 });
const policies = fc.array(policy, { maxLength: 2 });
const levels = fc.array(fc.array(policy, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 });
const controls = fc.array(
  fc.array(
    fc
      .record({ Action: oneOf("kms:Encrypt", "kms:D*"), Resource: oneOf("*", KEY), Condition: condition })
      .map((one): Statements => ({ ...one, Effect: "Deny", Principal: "*" })),
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

const permissions = fc.record({
  caller: oneOf(ALICE, BOB, ROOT_USER, SERVICE, SESSION),
  keyPolicy: fc.array(named, { minLength: 1, maxLength: 3 }),
  identityPolicies: policies,
  values,
});
const LIMITS = [
  "boundary",
  "sessionPolicies",
  "serviceControlPolicies",
  "resourceControlPolicies",
  "endpointPolicy",
] as const;
const limits = fc.record({
  boundary: policy,
  sessionPolicies: policies,
  serviceControlPolicies: levels,
  resourceControlPolicies: controls,
  endpointPolicy: fc.array(fc.tuple(statement, mostly<unknown>("*", { AWS: ROOT })).map(withPrincipal), {
    minLength: 1,
  }),
});

/** Any request, its policies given as they would be put; of the policies that limit it has two at most. */
const anyCase: fc.Arbitrary<PolicyCase> = fc
  .tuple(
    permissions,
    limits,
    fc.subarray([...LIMITS], { maxLength: 2 }),
    oneOf({}, { granted: false }, { granted: true }),
  )
  .map(([one, all, chosen, grant]) => ({
    ...one,
    ...Object.fromEntries(chosen.map((limit) => [limit, all[limit]])),
    ...grant,
    name: "any",
    source: EVALUATION,
    ends: "allowed",
  }));

const isAllowed = (one: PolicyCase): boolean => outcomeOf(one) === "allowed";
const everythingOfItsOwn = deny();
const everything = deny({ Principal: "*" });

describe("a decision", () => {
  it("is allowed and denied often enough for the properties to mean something", () => {
    const sample = fc.sample(anyCase, { numRuns: 600, seed: 1 }).filter(isAllowed);
    expect(sample.length).toBeGreaterThan(60);
    expect(sample.length).toBeLessThan(540);
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
        for (const limit of LIMITS) {
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

  const expression = (pattern: string) =>
    new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", ".*").replaceAll("?", ".")}$`);

  it("finds a part with question marks wherever it stands", () => {
    const long = fc.string({ unit: oneOf("a", "a", "b"), maxLength: 900, size: "max" });
    const cut = fc.record({
      from: fc.nat(900),
      length: fc.nat(600),
      hole: fc.nat(9),
      end: oneOf("", "a", "b", "?", "."),
    });
    fc.assert(
      fc.property(long, cut, (actual, { from, length, hole, end }) => {
        const part = Array.from(actual.slice(from, from + length), (one, i) => (i % 10 === hole ? "?" : one)).join("");
        const pattern = `*${part}${end}*`;
        expect(compileGlob(pattern)(actual)).toBe(expression(pattern).test(actual));
      }),
    );
  });

  it("matches what a regular expression of the same meaning matches", () => {
    fc.assert(
      fc.property(text, text, (pattern, actual) => {
        expect(compileGlob(pattern)(actual)).toBe(expression(pattern).test(actual));
      }),
    );
  });
});

describe("compiling", () => {
  const anything = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.string(),
    oneOf(`\${aws:x}`, `\${aws:x, 'y'}`, "arn:aws:kms:*"),
  );
  const operator = oneOf("StringLike", "ArnLike", "IpAddress", "DateEquals", "NumericEquals", "BinaryEquals", "Null");
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({ Effect: oneOf("Allow", "Deny"), Action: oneOf("kms:*", "*"), Resource: anything, Principal: anything })
      .map((Statement) => JSON.stringify({ Version: "2012-10-17", Statement })),
    fc.tuple(operator, anything).map(([name, value]) => {
      const Condition = { [name]: { "aws:x": value } };
      return JSON.stringify({ Version: "2012-10-17", Statement: { ...everything, Condition } });
    }),
  );
  const compilers = [
    compileKeyPolicy,
    compileIdentityPolicy,
    compileTrustPolicy,
    compileEndpointPolicy,
    compileResourceControlPolicy,
  ];

  it("takes or refuses any text, and what it takes answers any request", () => {
    const request = fc.record({ principal: oneOf(ALICE, SERVICE, SESSION), resource: fc.string(), value: fc.string() });
    fc.assert(
      fc.property(text, request, (policyText, { value, ...about }) => {
        const values = new Map([["aws:x", [value]]]);
        for (const compile of compilers) {
          try {
            expect(compile(policyText).evaluate({ ...about, action: "kms:Decrypt", values })).toMatch(/^[a-z]+$/);
          } catch (error) {
            expect(error).toBeInstanceOf(AwsError);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
