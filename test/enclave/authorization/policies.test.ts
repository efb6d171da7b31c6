/** Decisions: one request that is permitted, and what each single change of it, or of the policies, does. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AuthorizationPolicy } from "../../../enclave/authorization/policies.js";
import type { DecisionRequest } from "../../../enclave/authorization/request.js";
import { CARDS, callerWith, HEALTH, PLAIN, POLICIES, policyOf, REQUEST, SCHEMA } from "./example.js";

const policy = policyOf();
const decide = (change: Partial<DecisionRequest> = {}) => policy.decide({ ...REQUEST, ...change });

/** A decision under one policy, on the baseline request with a change. */
const decideUnder = (policies: string, change: Partial<DecisionRequest> = {}) =>
  policyOf({ policies }).decide({ ...REQUEST, ...change });

const PERMITTED = { allowed: true, failedPolicyIds: [] };
const DENIED = { allowed: false, policyIds: [], failedPolicyIds: [], reason: "no policy permits it" };

describe("a decision", () => {
  it("permits the baseline, and names the policy that does", () => {
    expect(decide()).toEqual({ ...PERMITTED, policyIds: ["own cards"] });
  });

  it.each<[string, Partial<DecisionRequest>]>([
    ["the caller is of another tenant", callerWith({ tenant: "other" })],
    ["the key has other aliases", { key: HEALTH }],
    ["the key has no alias, and another ARN than the policies name", { key: { arn: HEALTH.arn, aliases: [] } }],
    ["the action is another one on the same key", { action: "messages/decrypt" }],
    ["the encryption context is of another tenant", { encryptionContext: { tenant: "other" } }],
    ["the encryption context lacks the pair that the policy asks for", { encryptionContext: {} }],
    [
      "the encryption context has a name that the schema does not know",
      { encryptionContext: { tenant: "acme", x: "1" } },
    ],
    ["there is more to decrypt than the policy allows", { bytes: 4097 }],
  ])("denies when %s", (_, change) => {
    expect(decide(change)).toEqual(DENIED);
  });

  it.each<[string, Partial<DecisionRequest>, string]>([
    ["a known second pair", { encryptionContext: { tenant: "acme", purpose: "billing" } }, "own cards"],
    ["as much as the policy allows", { bytes: 4096 }, "own cards"],
    ["attested TLS", { channel: "tls" }, "own cards"],
    ["a key by its ARN, for an action of the group", { action: "messages/decrypt", key: PLAIN }, "plain"],
    ["an operation without a key", { action: "random", key: undefined, encryptionContext: {}, bytes: 0 }, "random"],
  ])("permits %s", (_, change, policyId) => {
    expect(decide(change)).toEqual({ ...PERMITTED, policyIds: [policyId] });
  });

  it("tells callers apart by their names", () => {
    const random = { action: "random", key: undefined };
    expect(decide({ ...random, ...callerWith({ tenant: "acme" }, "bob") })).toEqual(DENIED);
  });

  it("denies what a forbid covers, whatever permits it, and names the forbid", () => {
    const reason = "a policy forbids it";
    expect(decide({ channel: "parent" })).toEqual({ ...DENIED, policyIds: ["not by the parent"], reason });
    const lateByOne = { now: new Date("2027-01-01T00:00:00.000Z") };
    expect(decide(lateByOne)).toEqual({ ...DENIED, policyIds: ["until 2027"], reason });
    expect(decide({ now: new Date("2026-12-31T23:59:59.999Z") }).allowed).toBe(true);
    expect(decide({ ...lateByOne, channel: "parent" }).policyIds).toEqual(["not by the parent", "until 2027"]);
  });

  it("denies everything where there is no policy", () => {
    expect(decideUnder("")).toEqual(DENIED);
  });

  it("is made by an action that is served, or not at all", () => {
    expect(() => decide({ action: "data-keys" })).toThrow(TypeError);
  });

  it("denies a request of a resource that the schema does not have for the action", () => {
    const policies = "permit(principal, action, resource);";
    expect(decideUnder(policies).allowed).toBe(true);
    expect(decideUnder(policies, { key: undefined })).toEqual({
      ...DENIED,
      reason: "expected a request that fits the schema",
    });
  });

  it("tells keys apart by aliases in a condition as well as in a scope", () => {
    const policies =
      'permit(principal, action == Action::"decrypt", resource) when { resource in Alias::"alias/cards" };';
    expect(decideUnder(policies).allowed).toBe(true);
    expect(decideUnder(policies, { key: HEALTH }).allowed).toBe(false);
  });

  it("two authorizations in one process decide apart", () => {
    const other = policyOf({ policies: "permit(principal, action, resource);" });
    expect(decide({ key: HEALTH }).allowed).toBe(false);
    expect(other.decide({ ...REQUEST, key: HEALTH }).allowed).toBe(true);
    expect(decide({ key: HEALTH }).allowed).toBe(false);
  });
});

describe("the claims of a caller", () => {
  const when = (condition: string) => `permit(principal, action == Action::"decrypt", resource) when { ${condition} };`;
  const decideWith = (condition: string, claims: Readonly<Record<string, unknown>>) =>
    decideUnder(when(condition), callerWith({ tenant: "acme", ...claims }));

  it.each([
    ["principal.level == 7", { level: 7 }],
    ["principal.staff", { staff: true }],
    ['principal.roles.containsAll(["a", "b"])', { roles: ["b", "a", "c"] }],
    ["principal.roles.isEmpty()", { roles: [] }],
    ['principal.realm.name == "r"', { realm: { name: "r", undeclared: 1 } }],
    ['principal.realm.groups.contains("g")', { realm: { name: "r", groups: ["g"] } }],
    ["principal.level == -9007199254740991", { level: Number.MIN_SAFE_INTEGER }],
  ])("are attributes: %s", (condition, claims) => {
    const name = Object.keys(claims)[0];
    const guarded = condition.includes(".groups")
      ? `principal has realm.groups && ${condition}`
      : `principal has ${name} && ${condition}`;
    expect(decideWith(guarded, claims).allowed).toBe(true);
    expect(decideWith(guarded, {}).allowed).toBe(false);
  });

  it.each<[string, string, unknown]>([
    ["a number with a fraction", "level", 1.5],
    ["a number beyond what JSON holds exactly", "level", 2 ** 53],
    ["a number as text", "level", "7"],
    ["a text as Bool", "staff", "true"],
    ["one text where a Set is declared", "roles", "admin"],
    ["a Set with an element of another type", "roles", ["admin", 1]],
    ["a list where a record is declared", "realm", ["r"]],
    ["null where a record is declared", "realm", null],
    ["a record without its required field", "realm", { groups: ["g"] }],
    ["a record whose required field is of another type", "realm", { name: 1 }],
    ["an object that Cedar would read as something else", "roles", { __extn: { fn: "ip", arg: "::" } }],
    ["text that is no Unicode", "roles", ["\ud800"]],
  ])("are not there where the value is %s", (_, name, value) => {
    expect(decideWith(`!(principal has ${name})`, { [name]: value }).allowed).toBe(true);
  });

  it("leave a record without a field whose value is of another type", () => {
    const condition = "principal has realm && !(principal.realm has groups)";
    expect(decideWith(condition, { realm: { name: "r", groups: "g" } }).allowed).toBe(true);
  });

  it.each([
    ["missing", {}],
    ["of another type", { tenant: 7 }],
    ["no Unicode", { tenant: "acme\udfff" }],
    ["inherited, not its own", Object.create({ tenant: "acme" }) as Record<string, unknown>],
  ])("deny, by name and without their value, when a required one is %s", (_, claims) => {
    expect(decide(callerWith(claims))).toEqual({
      ...DENIED,
      reason: 'expected the claim "tenant" with the type that the schema requires',
    });
  });

  it("that the schema does not declare are nothing to Cedar", () => {
    expect(
      decide(callerWith({ tenant: "acme", level2: {}, __entity: { type: "Caller", id: "corp/root" } })).allowed,
    ).toBe(true);
  });
});

describe("the context of a request", () => {
  it("has of the encryption context what the schema declares, and the names of all pairs", () => {
    const policies = `permit(principal, action == Action::"decrypt", resource) when {
      context.encryptionContext has purpose && !(context.encryptionContext has tenant)
      && context.encryptionContextKeys == ["purpose", "secret"] };`;
    expect(decideUnder(policies, { encryptionContext: { purpose: "p", secret: "s" } }).allowed).toBe(true);
    expect(decideUnder(policies, { encryptionContext: { purpose: "p" } }).allowed).toBe(false);
  });

  it("lacks a required pair: denied by name", () => {
    const schema = SCHEMA.replace("tenant?: String, purpose", "tenant: String, purpose");
    const strict = policyOf({ schema });
    expect(strict.decide(REQUEST).allowed).toBe(true);
    expect(strict.decide({ ...REQUEST, encryptionContext: { purpose: "acme" } })).toEqual({
      ...DENIED,
      reason: 'expected the encryption-context pair "tenant" with the type that the schema requires',
    });
  });

  it.each<[string, Partial<DecisionRequest>]>([
    ["a subject", callerWith({ tenant: "acme" }, "\ud800")],
    ["the name of a pair", { encryptionContext: { tenant: "acme", "\udc00": "" } }],
    ["a value", { encryptionContext: { tenant: "acme", purpose: "\ud800" } }],
  ])("with %s that is no Unicode is denied: Cedar could not tell it from others", (_, change) => {
    expect(decideUnder("permit(principal, action, resource);").allowed).toBe(true);
    expect(decideUnder("permit(principal, action, resource);", change)).toEqual({
      ...DENIED,
      reason: "expected Unicode text in the subject and the encryption context",
    });
  });

  it("may leave out what the schema leaves out", () => {
    const schema = `entity Caller; entity Alias; entity Key in [Alias]; entity Enclave;
      action "decrypt" appliesTo { principal: Caller, resource: Key };`;
    const actions = [{ name: "decrypt", resources: ["Key"] }] as const;
    const bare = new AuthorizationPolicy({ schema, policies: "permit(principal, action, resource);", actions });
    expect(bare.decide(REQUEST)).toEqual({ ...PERMITTED, policyIds: ["policy0"] });
  });
});

describe("whatever a caller sends", () => {
  it("is decided, and changes no other decision", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const name = fc.oneof(text, fc.constantFrom("tenant", "roles", "realm", "__entity", "__extn", "__proto__", "type"));
    const claims = fc.dictionary(name, fc.oneof(fc.jsonValue({ maxDepth: 12 }), text, fc.constant("acme")));
    const context = fc.dictionary(name, text);
    fc.assert(
      fc.property(claims, context, text, fc.double(), (given, encryptionContext, subject, bytes) => {
        const caller = callerWith({ tenant: "acme", ...given }, subject);
        expect(decide({ ...caller, encryptionContext, bytes }).failedPolicyIds).toEqual([]);
        expect(decide().allowed).toBe(true);
      }),
      { seed: 20261123, numRuns: 1_000 },
    );
  });
});

describe("a policy that cannot be evaluated", () => {
  const overflow = (effect: string) =>
    `@id("overflow") ${effect}(principal, action, resource) when { context.bytes + 9223372036854775807 < 0 };`;

  it("denies when it is a forbid, for what it would have said is not known", () => {
    expect(decideUnder(`${POLICIES}${overflow("forbid")}`, { bytes: 0 }).allowed).toBe(true);
    expect(decideUnder(`${POLICIES}${overflow("forbid")}`)).toEqual({
      allowed: false,
      policyIds: ["overflow"],
      failedPolicyIds: ["overflow"],
      reason: "a policy that may forbid it could not be evaluated",
    });
  });

  it("is named beside the forbids that were evaluated, and without the permits", () => {
    const { allowed, policyIds } = decideUnder(`${POLICIES}${overflow("forbid")}`, { channel: "parent" });
    expect({ allowed, policyIds }).toEqual({ allowed: false, policyIds: ["not by the parent", "overflow"] });
  });

  it("permits nothing when it is a permit, and takes nothing away", () => {
    expect(decideUnder(overflow("permit"))).toEqual({ ...DENIED, failedPolicyIds: ["overflow"] });
    expect(decideUnder(`${POLICIES}${overflow("permit")}`)).toEqual({
      allowed: true,
      policyIds: ["own cards"],
      failedPolicyIds: ["overflow"],
    });
  });

  it("denies nothing where its scope does not match", () => {
    const elsewhere = overflow("forbid").replace("resource)", `resource == Key::"${HEALTH.arn}")`);
    expect(decideUnder(`${POLICIES}${elsewhere}`, { key: CARDS }).allowed).toBe(true);
    expect(decideUnder(`${POLICIES}${elsewhere}`, { key: HEALTH }).failedPolicyIds).toEqual(["overflow"]);
  });
});
