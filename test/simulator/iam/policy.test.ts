import { describe, expect, it } from "vitest";
import { authorize } from "../../../simulator/iam/authorization.js";
import { compileIdentityPolicy, compileKeyPolicy } from "../../../simulator/iam/policy/compile.js";
import type { Principal } from "../../../simulator/iam/principal.js";
import { conditionValues } from "../../../simulator/iam/request-context.js";

const ACCOUNT = "111122223333";
const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ROLE = `arn:aws:iam::${ACCOUNT}:role/parent`;
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234`;

const policyOf = (...statements: readonly object[]) => JSON.stringify({ Version: "2012-10-17", Statement: statements });
const allow = (more: object = {}) => ({ Effect: "Allow", Action: "kms:Decrypt", Resource: "*", ...more });
const deny = (more: object = {}) => ({ ...allow(more), Effect: "Deny" });

function caller(changes: Partial<Principal> = {}, ...policies: readonly string[]): Principal {
  const session = { kind: "session", arn: `arn:aws:sts::${ACCOUNT}:assumed-role/parent/i-1`, roleArn: ROLE } as const;
  return {
    ...session,
    accountId: ACCOUNT,
    userId: "AROA:i-1",
    policies: policies.map((text) => compileIdentityPolicy(text)),
    ...changes,
  };
}

interface Question {
  readonly principal?: Principal;
  readonly action?: string;
  readonly values?: Record<string, string | readonly string[]>;
}

function decide(keyPolicy: string, { principal = caller(), action = "kms:Decrypt", values = {} }: Question = {}) {
  const conditions = conditionValues(Object.entries(values).map(([key, value]) => [key, [value].flat()]));
  const resource = { arn: KEY, accountId: ACCOUNT, keyPolicy: compileKeyPolicy(keyPolicy) };
  return authorize({ principal, action, resource, values: conditions }).reason;
}

describe("key policy and identity policies together", () => {
  it("allows a role that the key policy names", () => {
    expect(decide(policyOf(allow({ Principal: { AWS: ROLE } })))).toBe("allowed");
  });

  it.each([
    ["the session itself", { AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/parent/i-1` }],
    ["one of a list", { AWS: [ROOT, ROLE] }],
    ["everybody", "*"],
    ["everybody of kind AWS", { AWS: "*" }],
  ])("allows %s", (_what, Principal) => {
    expect(decide(policyOf(allow({ Principal })))).toBe("allowed");
  });

  it.each([
    ["another role", { AWS: `arn:aws:iam::${ACCOUNT}:role/other` }],
    ["the role of another account", { AWS: "arn:aws:iam::444455556666:role/parent" }],
    ["another session of the role", { AWS: `arn:aws:sts::${ACCOUNT}:assumed-role/parent/i-2` }],
    ["a service", { Service: "ec2.amazonaws.com" }],
  ])("does not take the caller for %s", (_what, Principal) => {
    expect(decide(policyOf(allow({ Principal })))).toBe("not-allowed-by-key-policy");
  });

  it.each([ROOT, ACCOUNT])("hands on to IAM where the key policy names the account: %s", (account) => {
    const keyPolicy = policyOf(allow({ Principal: { AWS: account } }));
    expect(decide(keyPolicy)).toBe("not-allowed-by-identity-policy");
    expect(decide(keyPolicy, { principal: caller({}, policyOf(allow())) })).toBe("allowed");
    expect(decide(keyPolicy, { principal: caller({ kind: "root", arn: ROOT }) })).toBe("allowed");
  });

  it("does not let an identity policy stand alone", () => {
    const other = policyOf(allow({ Principal: { AWS: `arn:aws:iam::${ACCOUNT}:role/other` } }));
    expect(decide(other, { principal: caller({}, policyOf(allow())) })).toBe("not-allowed-by-key-policy");
  });

  it("needs both sides across accounts", () => {
    const keyPolicy = policyOf(allow({ Principal: { AWS: "444455556666" } }));
    const foreign = { accountId: "444455556666", roleArn: "arn:aws:iam::444455556666:role/parent" };
    expect(decide(keyPolicy, { principal: caller(foreign) })).toBe("not-allowed-by-identity-policy");
    expect(decide(keyPolicy, { principal: caller(foreign, policyOf(allow())) })).toBe("allowed");
    const everybody = policyOf(allow({ Principal: "*" }));
    expect(decide(everybody, { principal: caller(foreign) })).toBe("not-allowed-by-identity-policy");
  });

  it("pitfall 23: lets an explicit deny win, on either side and in any order", () => {
    const [yes, no] = [allow({ Principal: "*" }), deny({ Principal: { AWS: ROOT } })];
    expect(decide(policyOf(yes, no))).toBe("denied-by-key-policy");
    expect(decide(policyOf(no, yes))).toBe("denied-by-key-policy");
    expect(decide(policyOf(yes), { principal: caller({}, policyOf(deny())) })).toBe("denied-by-identity-policy");
  });

  it("excepts those whom NotPrincipal names with their role and account", () => {
    const excepting = (...AWS: readonly string[]) =>
      decide(policyOf(allow({ Principal: "*" }), { ...deny(), NotPrincipal: { AWS } }));
    const session = `arn:aws:sts::${ACCOUNT}:assumed-role/parent/i-1`;
    expect(excepting(ROOT, ROLE, session)).toBe("allowed");
    expect(excepting(ROLE, session)).toBe("denied-by-key-policy");
    expect(excepting(ROOT, session)).toBe("denied-by-key-policy");
    expect(excepting(ROOT, ROLE)).toBe("denied-by-key-policy");
    expect(excepting(ROOT, ROLE, `${session}2`)).toBe("denied-by-key-policy");
  });

  it("knows the partition of an account's ARN, and none of its id", () => {
    const inChina = (text: string): string => text.replace("arn:aws:", "arn:aws-cn:");
    const session = `arn:aws-cn:sts::${ACCOUNT}:assumed-role/parent/i-1`;
    const chinese = caller({ arn: session, roleArn: inChina(ROLE) }, policyOf(allow()));
    const byAccount = (AWS: string, principal = chinese) =>
      decide(policyOf(allow({ Principal: { AWS } })), { principal });
    expect(byAccount(inChina(ROOT))).toBe("allowed");
    expect(byAccount(ACCOUNT)).toBe("allowed");
    expect(byAccount(ROOT)).toBe("not-allowed-by-key-policy");
    expect(byAccount(inChina(ROOT), caller({}, policyOf(allow())))).toBe("not-allowed-by-key-policy");
    const excepting = (...AWS: readonly string[]) =>
      decide(policyOf(allow({ Principal: "*" }), { ...deny(), NotPrincipal: { AWS } }), { principal: chinese });
    expect(excepting(ACCOUNT, inChina(ROLE), session)).toBe("allowed");
    expect(excepting(inChina(ROOT), inChina(ROLE), session)).toBe("allowed");
    expect(excepting(ROOT, inChina(ROLE), session)).toBe("denied-by-key-policy");
  });

  it("excepts an account's root user by the account alone, in either form", () => {
    const principal = caller({ kind: "root", arn: ROOT });
    for (const AWS of [ROOT, ACCOUNT]) {
      const keyPolicy = policyOf(allow({ Principal: "*" }), { ...deny(), NotPrincipal: { AWS } });
      expect(decide(keyPolicy, { principal })).toBe("allowed");
    }
  });

  it.each([
    ["kms:Decrypt", "allowed"],
    ["KMS:decrypt", "allowed"],
    ["kms:*", "allowed"],
    ["*", "allowed"],
    ["kms:De?rypt", "allowed"],
    ["kms:Encrypt", "not-allowed-by-key-policy"],
    ["kms:Decryp", "not-allowed-by-key-policy"],
    ["kms:Decrypt?", "not-allowed-by-key-policy"],
  ])("matches the action %s: %s", (Action, expected) => {
    expect(decide(policyOf(allow({ Principal: "*", Action })))).toBe(expected);
  });

  it("matches NotAction and NotResource", () => {
    const statement = (more: object) => policyOf({ Effect: "Allow", Principal: "*", ...more });
    expect(decide(statement({ NotAction: "kms:Decrypt", Resource: "*" }))).toBe("not-allowed-by-key-policy");
    expect(decide(statement({ NotAction: "kms:Encrypt", Resource: "*" }))).toBe("allowed");
    expect(decide(statement({ Action: "*", NotResource: KEY }))).toBe("not-allowed-by-key-policy");
    expect(decide(statement({ Action: "*", Resource: KEY }))).toBe("allowed");
    expect(decide(statement({ Action: "*", Resource: "arn:aws:kms:*:*:key/12*" }))).toBe("allowed");
  });
});

describe("conditions", () => {
  const PCR0 = "ab".repeat(48);
  const holds = (Condition: object, values: Question["values"] = {}) =>
    decide(policyOf(allow({ Principal: "*", Condition })), { values }) === "allowed";

  // operator, wanted, actual (undefined: the key is absent), whether it holds
  it.each<[string, unknown, string | readonly string[] | undefined, boolean]>([
    ["StringEquals", "a", "a", true],
    ["StringEquals", ["b", "a"], "a", true],
    ["StringEquals", "a", "A", false],
    ["StringEquals", "a*", "ab", false],
    ["StringEquals", "a", undefined, false],
    ["StringNotEquals", "a", "b", true],
    ["StringNotEquals", ["b", "a"], "b", false],
    ["StringNotEquals", "a", undefined, true],
    ["StringEqualsIgnoreCase", PCR0.toUpperCase(), PCR0, true],
    ["StringEqualsIgnoreCase", PCR0, "cd".repeat(48), false],
    ["StringEqualsIgnoreCase", PCR0, undefined, false],
    ["StringNotEqualsIgnoreCase", "A", "a", false],
    ["StringLike", "a*c?", "abbcd", true],
    ["StringLike", "a*c?", "abbc", false],
    ["StringLike", "*", undefined, false],
    ["StringNotLike", "a*", "abc", false],
    ["ArnEquals", "arn:aws:iam::*:role/parent", ROLE, true],
    ["ArnLike", "arn:aws:iam::*:role/p*", ROLE, true],
    ["ArnLike", "arn:*:*:*:*:role/parent", ROLE, true],
    ["ArnLike", "arn:*:iam::role/parent:*", ROLE, false],
    ["ArnNotLike", "arn:aws:iam::*:role/p*", ROLE, false],
    ["Bool", "true", "true", true],
    ["Bool", true, "false", false],
    ["Bool", "true", undefined, false],
    ["BoolIfExists", "true", undefined, true],
    ["NumericLessThan", "10", "9", true],
    ["NumericLessThan", 10, "10", false],
    ["NumericGreaterThanEquals", "10", "10", true],
    ["NumericEquals", "10", "10.0", true],
    ["NumericNotEquals", "10", "11", true],
    ["NumericEquals", "10", "ten", false],
    ["DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", true],
    ["DateGreaterThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", false],
    ["IpAddress", "10.0.0.0/8", "10.1.2.3", true],
    ["IpAddress", "10.0.0.0/8", "11.1.2.3", false],
    ["NotIpAddress", "10.0.0.0/8", "10.1.2.3", false],
    ["IpAddress", "2001:db8::/32", "2001:db8::1", true],
    ["BinaryEquals", "aGk=", "aGk=", true],
    ["Null", "true", undefined, true],
    ["Null", "true", "a", false],
    ["Null", "false", "a", true],
    ["StringEqualsIfExists", "a", undefined, true],
    ["StringEqualsIfExists", "a", "b", false],
    ["ForAllValues:StringEquals", ["a", "b"], ["a"], true],
    ["ForAllValues:StringEquals", ["a", "b"], ["a", "c"], false],
    ["ForAllValues:StringEquals", ["a"], undefined, true],
    ["ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], true],
    ["ForAnyValue:StringEquals", ["a", "b"], ["c"], false],
    ["ForAnyValue:StringEquals", ["a"], undefined, false],
    ["ForAnyValue:StringNotEquals", ["a"], ["a", "b"], true],
    ["ForAnyValue:StringNotEquals", ["a"], undefined, false],
    ["ForAllValues:StringNotEquals", ["a"], ["b", "a"], false],
  ])("%s %j against %j: %s", (operator, wanted, actual, expected) => {
    const values = actual === undefined ? {} : { "some:Key": actual };
    expect(holds({ [operator]: { "Some:key": wanted } }, values)).toBe(expected);
  });

  it("must all hold: keys of an operator, and operators of a block", () => {
    const Condition = { StringEquals: { "a:x": "1", "a:y": "2" }, Null: { "a:z": "true" } };
    expect(holds(Condition, { "a:x": "1", "a:y": "2" })).toBe(true);
    expect(holds(Condition, { "a:x": "1" })).toBe(false);
    expect(holds(Condition, { "a:x": "1", "a:y": "2", "a:z": "3" })).toBe(false);
  });

  it("pitfall 2: a condition on the recipient's attestation is not met without a document", () => {
    for (const key of ["kms:RecipientAttestation:ImageSha384", "kms:RecipientAttestation:PCR0"]) {
      expect(holds({ StringEqualsIgnoreCase: { [key]: PCR0 } })).toBe(false);
      expect(holds({ StringEqualsIgnoreCase: { [key]: PCR0 } }, { [key]: PCR0 })).toBe(true);
    }
  });

  const TEAM = "kms:EncryptionContext:team";

  // The values of pairs whose names differ only by case; operator, values, whether an Allow holds, whether a Deny does.
  it.each<[string, readonly string[], boolean, boolean]>([
    ["StringEquals", ["a", "a"], true, true],
    ["StringEquals", ["a", "b"], false, true],
    ["StringEquals", ["b", "c"], false, false],
    ["StringNotEquals", ["a", "a"], false, false],
    ["StringNotEquals", ["a", "b"], false, true],
    ["StringNotEquals", ["b", "c"], true, true],
    ["StringLikeIfExists", ["b", "a"], false, true],
    ["ForAnyValue:StringEquals", ["a", "b"], false, true],
    ["ForAnyValue:StringNotEquals", ["a", "b"], false, true],
  ])("%s of the context's pairs %j: an Allow holds for each, a Deny for one", (operator, values, allows, denies) => {
    const Condition = { [operator]: { [TEAM]: "a" } };
    const denial = policyOf(allow({ Principal: "*" }), deny({ Principal: "*", Condition }));
    expect(holds(Condition, { [TEAM]: values })).toBe(allows);
    expect(decide(denial, { values: { [TEAM]: values } })).toBe(denies ? "denied-by-key-policy" : "allowed");
  });

  it("fold the case of a key's ASCII letters, and of no others", () => {
    const Condition = { StringEquals: { "kms:EncryptionContext:key": "a" } };
    expect(holds(Condition, { "KMS:encryptioncontext:KEY": "a" })).toBe(true);
    expect(holds(Condition, { "kms:EncryptionContext:\u212aey": "a" })).toBe(false);
    expect(holds({ Null: { "kms:EncryptionContext:\u212aey": "true" } }, { "kms:EncryptionContext:key": "a" })).toBe(
      true,
    );
  });

  it("without wanted values matches nothing, and so a negated operator always", () => {
    expect(holds({ StringEquals: { "a:x": [] } }, { "a:x": "a" })).toBe(false);
    expect(holds({ StringNotEquals: { "a:x": [] } }, { "a:x": "a" })).toBe(true);
  });

  it.each([
    ["stars", `${"*a".repeat(200)}b`, 20_000],
    ["question marks", `*${"?a".repeat(8_000)}b*`, 40_000],
    ["question marks between stars", `${"*?a".repeat(8_000)}b*`, 40_000],
    ["variables", `*${`\${a:x}`.repeat(400)}*`, 100_000],
    ["question marks and variables", `*${`?\${a:x}`.repeat(400)}*`, 100_000],
  ])("takes a hostile pattern of %s in time that grows with its length only", (_what, pattern, length) => {
    expect(holds({ StringLike: { "a:x": pattern } }, { "a:x": "a".repeat(length) })).toBe(false);
  });

  it("may compare a value with itself, whatever its case", () => {
    const wanted = `\${a:y}`;
    for (const operator of ["StringEquals", "StringLike", "StringEqualsIgnoreCase"]) {
      expect(holds({ [operator]: { "a:x": wanted } }, { "a:x": "abc", "a:y": "abc" })).toBe(true);
    }
    expect(holds({ StringEqualsIgnoreCase: { "a:x": wanted } }, { "a:x": "\u0130", "a:y": "i\u0307" })).toBe(true);
  });
});
