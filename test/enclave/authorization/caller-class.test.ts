/** Classes of callers: alike for those whom the policies cannot tell apart, and for nobody else. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { callerWith, policyOf, REQUEST } from "./example.js";

const BY_CLAIMS = `permit(principal, action, resource) when { principal.tenant == "acme" };`;

const classOf = (claims: Readonly<Record<string, unknown>>, subject = "alice", policies = BY_CLAIMS): string =>
  policyOf({ policies }).classOf(callerWith(claims, subject).principal);

describe("where no policy names a caller", () => {
  it("callers with the same declared claims are alike, whoever they are and in whatever order the claims come", () => {
    expect(classOf({ tenant: "acme", level: 1 })).toBe(classOf({ level: 1, tenant: "acme" }, "bob"));
  });

  it("claims that the schema does not declare make no difference", () => {
    expect(classOf({ tenant: "acme", iss: "x", exp: 1, mail: "a@b" })).toBe(classOf({ tenant: "acme" }));
  });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ["another value", { tenant: "other" }],
    ["a further one", { tenant: "acme", level: 1 }],
    ["false in the place of none", { tenant: "acme", staff: false }],
    ["an empty set in the place of none", { tenant: "acme", roles: [] }],
    ["a record in the place of none", { tenant: "acme", realm: { name: "x" } }],
  ])("callers with %s are told apart", (_, claims) => {
    expect(classOf(claims)).not.toBe(classOf({ tenant: "acme" }));
  });

  it("claims within records, declared and not", () => {
    const of = (realm: object) => classOf({ tenant: "acme", realm });
    expect(of({ name: "x", mail: "y" })).toBe(of({ name: "x" }));
    expect(of({ name: "x", groups: ["y"] })).not.toBe(of({ name: "x" }));
  });

  it("a caller without a required claim, or with one that does not fit, is like himself alone", () => {
    for (const claims of [{}, { tenant: 7 }, { tenant: ["acme"] }]) {
      expect(classOf(claims)).toBe(classOf(claims));
      expect(classOf(claims)).not.toBe(classOf(claims, "bob"));
      expect(classOf(claims)).not.toBe(classOf({ tenant: "acme" }));
    }
  });

  it("an optional claim that does not fit is as if it were not there, as it is for the policies", () => {
    expect(classOf({ tenant: "acme", level: "1" })).toBe(classOf({ tenant: "acme" }));
  });

  it("callers who are alike are decided about alike", () => {
    const policies = `${BY_CLAIMS}
permit(principal, action, resource) when { principal has level && principal.level > 3 };
permit(principal is Caller, action, resource) when { principal has roles && principal.roles.contains("x") };
forbid(principal, action, resource) when { principal has staff && principal.staff };`;
    const policy = policyOf({ policies });
    const claims = fc.record(
      {
        tenant: fc.constantFrom("acme", "other"),
        level: fc.constantFrom<unknown>(1, 5, "5"),
        staff: fc.boolean(),
        roles: fc.constantFrom<unknown>([], ["x"], "x"),
        mail: fc.string({ maxLength: 2 }),
      },
      { requiredKeys: ["tenant"] },
    );
    fc.assert(
      fc.property(claims, claims, (one, other) => {
        const [a, b] = [callerWith(one), callerWith(other, "bob")];
        if (policy.classOf(a.principal) !== policy.classOf(b.principal)) return;
        expect(policy.decide({ ...REQUEST, ...b })).toEqual(policy.decide({ ...REQUEST, ...a }));
      }),
    );
  });
});

describe("where a policy names a caller", () => {
  it.each([
    `permit(principal == Caller::"corp/alice", action, resource);`,
    `permit(principal in Caller::"corp/alice", action, resource);`,
    `permit(principal is Caller in Caller::"corp/alice", action, resource);`,
    `permit(principal, action, resource) when { principal == Caller::"corp/alice" };`,
    `permit(principal, action, resource) unless { principal != Caller::"corp/alice" };`,
    `permit(principal, action, resource) when { principal in [Caller::"corp/alice", Caller::"corp/bob"] };`,
    `permit(principal, action, resource) when { principal is Caller in Caller::"corp/alice" };`,
    `permit(principal, action, resource) when { [Caller::"corp/alice"].contains(principal) };`,
    `permit(principal, action, resource) when { if principal == Caller::"corp/alice" then true else false };`,
    `permit(principal, action, resource) when { {x: Caller::"corp/alice"}.x == principal };`,
    `@note("a \\"quoted\\" text")\npermit(principal, action, resource) when { principal == Caller::"corp/\\"alice\\"" };`,
    `${BY_CLAIMS}\nforbid(principal == Caller::"corp/\\u{61}lice", action, resource);`,
  ])("everybody is like himself alone: %s", (policies) => {
    const claims = { tenant: "acme" };
    expect(classOf(claims, "alice", policies)).toBe(classOf(claims, "alice", policies));
    expect(classOf(claims, "alice", policies)).not.toBe(classOf(claims, "bob", policies));
    expect(classOf(claims, "alice", policies)).not.toBe(classOf({ tenant: "other" }, "alice", policies));
  });

  it.each([
    `permit(principal is Caller, action, resource);`,
    `@note("Caller::\\"corp/alice\\"")\n${BY_CLAIMS}`,
    `// principal == Caller::"corp/alice"\n${BY_CLAIMS}`,
    `permit(principal, action, resource) when { principal.tenant == "Caller" };`,
    `permit(principal, action, resource) when { principal.tenant == "\\"type\\":\\"Caller\\"" };`,
    "permit(principal, action, resource) when { principal == principal };",
  ])("and what names none does not: %s", (policies) => {
    expect(classOf({ tenant: "acme" }, "alice", policies)).toBe(classOf({ tenant: "acme" }, "bob", policies));
  });
});
