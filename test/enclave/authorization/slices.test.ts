/** Decisions by slices equal decisions by the whole set, whatever the scopes: Cedar's own word is the measure. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CedarStore } from "../../../enclave/authorization/cedar.js";
import { AuthorizationPolicy } from "../../../enclave/authorization/policies.js";
import { parsePolicies } from "../../../enclave/authorization/policy-text.js";
import type { DecisionRequest } from "../../../enclave/authorization/request.js";
import { cedarRequestOf, isUnfit, parentsOf, resourceOf } from "../../../enclave/authorization/request.js";
import { AuthorizationSchema } from "../../../enclave/authorization/schema.js";
import { scopedEntity, scopeOf } from "../../../enclave/authorization/scope.js";
import { PolicySlices } from "../../../enclave/authorization/slices.js";
import { ACTIONS, CARDS, callerWith, HEALTH, PLAIN, policyOf, REQUEST, SCHEMA } from "./example.js";

const KEYS = [CARDS, HEALTH, PLAIN];
const callers = ["alice", "bob", "carol"] as const;
const aliases = KEYS.flatMap((key) => key.aliases);

const principalScope = fc.oneof(
  fc.constant("principal"),
  fc.constant("principal is Caller"),
  fc.constantFrom(...callers).map((name) => `principal == Caller::"corp/${name}"`),
  fc.constantFrom(...callers).map((name) => `principal in Caller::"corp/${name}"`),
);
const actionScope = fc.oneof(
  fc.constant("action"),
  fc.constant('action == Action::"decrypt"'),
  fc.constant('action in [Action::"decrypt", Action::"messages/decrypt"]'),
  fc.constant('action in Action::"open"'),
);
const resourceScope = fc.oneof(
  fc.constant("resource"),
  fc.constant("resource is Key"),
  fc.constantFrom(...KEYS).map(({ arn }) => `resource == Key::"${arn}"`),
  fc.constantFrom(...aliases).map((alias) => `resource in Alias::"${alias}"`),
  fc.constantFrom(...aliases).map((alias) => `resource is Key in Alias::"${alias}"`),
);
const condition = fc.constantFrom(
  "",
  'when { context.channel == "sealed" }',
  'when { principal.tenant == "acme" }',
  "unless { context.bytes > 100 }",
  "when { principal has level && principal.level + 9223372036854775807 > 0 }", // overflows for whoever has a level above 0
);
const policy = fc
  .tuple(fc.constantFrom("permit", "permit", "forbid"), principalScope, actionScope, resourceScope, condition)
  .map(([effect, principal, action, resource, when]) => `${effect}(${principal}, ${action}, ${resource}) ${when};`);

const request: fc.Arbitrary<DecisionRequest> = fc.record({
  principal: fc
    .tuple(fc.constantFrom(...callers), fc.constantFrom("acme", "globex"), fc.boolean())
    .map(([name, tenant, ranked]) => callerWith(ranked ? { tenant, level: 1 } : { tenant }, name).principal),
  action: fc.constantFrom("decrypt", "messages/decrypt"),
  key: fc.constantFrom(...KEYS),
  encryptionContext: fc.constant({ tenant: "acme" }),
  channel: fc.constantFrom("sealed", "tls", "parent"),
  bytes: fc.constantFrom(10, 1_000),
  now: fc.constant(REQUEST.now),
});

/** What Cedar says with all policies in one set. */
function unsliced(text: string) {
  const store = new CedarStore();
  const schema = new AuthorizationSchema(SCHEMA, store, ACTIONS);
  store.keep("all", parsePolicies(text));
  return (asked: DecisionRequest) => {
    const cedar = cedarRequestOf(schema, asked, { withKey: true });
    if (isUnfit(cedar)) throw new TypeError("the test asks what fits");
    return store.evaluate("all", cedar);
  };
}

/** Policies that differ, so that none looks like another one (which is refused at boot), each valid for the schema. */
const policySet = fc.uniqueArray(policy, { minLength: 1, maxLength: 12 });

describe("slices", () => {
  it("decide as the whole set does: the same verdict, policies and failures", () => {
    fc.assert(
      fc.property(policySet, fc.array(request, { minLength: 1, maxLength: 8 }), (policies, requests) => {
        const text = policies.join("\n");
        const store = new CedarStore();
        const schema = new AuthorizationSchema(SCHEMA, store, ACTIONS);
        const slices = new PolicySlices(store, parsePolicies(text));
        const whole = unsliced(text);
        for (const asked of requests) {
          const cedar = cedarRequestOf(schema, asked, { withKey: true });
          if (isUnfit(cedar)) throw new TypeError("the test asks what fits");
          const set = slices.setFor({
            principal: scopedEntity(cedar.principal, []),
            action: scopedEntity(cedar.action, schema.groupsOf(asked.action)),
            resource: scopedEntity(resourceOf(asked.key), parentsOf(asked.key)),
          });
          expect(store.evaluate(set, cedar)).toEqual(whole(asked));
        }
      }),
      { numRuns: 150 },
    );
  });

  it("hold no policy whose scope another key excludes", () => {
    const kept: (readonly string[])[] = [];
    const policies = parsePolicies(
      KEYS.map(({ arn }, index) => `@id("p${index}") permit(principal, action, resource == Key::"${arn}");`).join("\n"),
    );
    const store = {
      keep: (_: string, slice: readonly { readonly id: string }[]) => void kept.push(slice.map(({ id }) => id)),
    };
    const slices = new PolicySlices(store, policies);
    const ask = (key: typeof CARDS) =>
      slices.setFor({
        principal: scopedEntity({ type: "Caller", id: "corp/alice" }, []),
        action: scopedEntity({ type: "Action", id: "decrypt" }, []),
        resource: scopedEntity(resourceOf(key), parentsOf(key)),
      });
    expect(ask(CARDS)).toBe(ask(CARDS));
    expect(ask(HEALTH)).not.toBe(ask(CARDS));
    expect(kept).toEqual([["p0", "p1", "p2"], ["p0"], ["p1"]]);
  });

  it("are bounded: when they are full, the whole set decides", () => {
    const policies = parsePolicies(
      KEYS.map(({ arn }) => `permit(principal, action, resource == Key::"${arn}");`).join("\n"),
    );
    const slices = new PolicySlices({ keep: () => undefined }, policies, 1);
    const ask = (key: typeof CARDS) =>
      slices.setFor({
        principal: scopedEntity({ type: "Caller", id: "corp/alice" }, []),
        action: scopedEntity({ type: "Action", id: "decrypt" }, []),
        resource: scopedEntity(resourceOf(key), parentsOf(key)),
      });
    expect(ask(CARDS)).not.toBe("whole");
    expect(ask(HEALTH)).toBe("whole");
    expect(ask(CARDS)).not.toBe("whole");
  });

  it("keep a policy whose scope they do not understand", () => {
    const odd = { op: "unheard-of", entity: { type: "Key", id: PLAIN.arn } };
    const scope = scopeOf({ principal: { op: "All" }, action: { op: "All" }, resource: odd });
    expect(scope.resource).toEqual({});
  });

  it("do not change what the engine decides", () => {
    expect(policyOf().decide(REQUEST)).toMatchObject({ allowed: true, policyIds: ["own cards"] });
    expect(new AuthorizationPolicy({ schema: SCHEMA, policies: "", actions: ACTIONS }).decide(REQUEST).allowed).toBe(
      false,
    );
  });
});
