/** The grants of a Region as a store: what was recorded makes them again, they go with their key, and a key has no more than AWS allows. */
import { createSecretKey, randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { authorize } from "../../../../simulator/iam/authorization.js";
import { compileIdentityPolicy, compileKeyPolicy } from "../../../../simulator/iam/policy/compile.js";
import type { Principal } from "../../../../simulator/iam/principal.js";
import type { Change } from "../../../../simulator/kms/change.js";
import type { Grant } from "../../../../simulator/kms/grant.js";
import { GRANT_OPERATIONS } from "../../../../simulator/kms/grant.js";
import { allowedByGrants } from "../../../../simulator/kms/grant-authorization.js";
import { asStrictAs, satisfiedBy } from "../../../../simulator/kms/grant-constraints.js";
import { claimedGrantId, isGenuine, newGrantToken } from "../../../../simulator/kms/grant-token.js";
import type { KmsKey } from "../../../../simulator/kms/key.js";
import { advance } from "../../../../simulator/kms/key-lifecycle.js";
import { firstMaterial } from "../../../../simulator/kms/material-record.js";
import { newMaterial } from "../../../../simulator/kms/new-material.js";
import { createGrant } from "../../../../simulator/kms/operations/grants/create-grant.js";
import { RecipientVerifier } from "../../../../simulator/kms/recipient.js";
import { Regions } from "../../../../simulator/kms/regions.js";
import { emptyWorld } from "../../../../simulator/world/world.js";
import { DAY, NOW } from "../../fixtures.js";
import { ALICE, BOB, OWN_ACCOUNT, ROOT } from "./granted-kms.js";

const REGION = "eu-west-1";
const KEY_ID = "11111111-2222-3333-4444-555555555555";
const KEY_ARN = `arn:aws:kms:${REGION}:111122223333:key/${KEY_ID}`;

const newGrant = (changes: Partial<Grant> = {}): Grant => ({
  grantId: randomBytes(32).toString("hex"),
  keyArn: KEY_ARN,
  creationDate: NOW,
  issuingAccount: ROOT,
  granteePrincipal: ALICE,
  operations: ["Decrypt", "Encrypt"],
  constraints: {},
  tokenKey: createSecretKey(randomBytes(32)),
  ...changes,
});

/** Regions, and every change that they recorded. */
function recordedRegions() {
  const changes: Change[] = [];
  const persistence = { record: (change: Change) => void changes.push(change), flush: async () => undefined };
  return { changes, regions: new Regions(REGION, { persistence }) };
}

const grantee: Principal = { kind: "user", arn: ALICE, accountId: "111122223333", userId: "AIDA", policies: [] };
const view = { now: NOW, tokens: new Set<string>() };
const question = (action: string) => ({ principal: grantee, action, resource: KEY_ARN, values: new Map() });

describe("the grants of a Region", () => {
  it("are made again by the changes that were recorded, in another store", () => {
    const { changes, regions } = recordedRegions();
    const { grants } = regions.of(REGION);
    const [kept, gone] = [newGrant({ name: "kept", retiringPrincipal: BOB }), newGrant()];
    for (const grant of [kept, gone]) grants.put(grant);
    grants.remove(gone, NOW);
    const again = new Regions(REGION);
    for (const change of changes) again.restore(change);
    const restored = again.of(REGION).grants;
    expect([...restored.of(KEY_ARN)]).toEqual([kept]);
    expect([...restored.retirableBy(BOB)]).toEqual([kept]);
    expect([...restored.allowing(ALICE, question("kms:Decrypt"), view)]).toEqual([kept]);
    expect(restored.findRepeated(newGrant({ name: "kept", retiringPrincipal: BOB }))).toBe(kept);
    expect(restored.redeem(newGrantToken(kept.grantId, kept.tokenKey), NOW)).toBe(kept);
  });

  it("are no one's but their Region's", () => {
    const { regions } = recordedRegions();
    const grant = newGrant();
    regions.restore({ kind: "grant", grant });
    expect(regions.of(REGION).grants.find(KEY_ARN, grant.grantId)).toBe(grant);
    expect(regions.of("us-east-1").grants.find(KEY_ARN, grant.grantId)).toBeUndefined();
  });

  it("go with their key, and that is recorded", async () => {
    const { changes, regions } = recordedRegions();
    const { keys, grants } = regions.of(REGION);
    keys.put(await pendingKey());
    const other = newGrant({ keyArn: KEY_ARN.replace(/.$/, "0") });
    for (const grant of [newGrant(), newGrant(), other]) grants.put(grant);
    advance(regions, new Date(NOW.getTime() + DAY - 1));
    expect(grants.countOf(KEY_ARN)).toBe(2);
    advance(regions, new Date(NOW.getTime() + DAY));
    expect([grants.countOf(KEY_ARN), grants.countOf(other.keyArn)]).toEqual([0, 1]);
    const again = new Regions(REGION);
    for (const change of changes) again.restore(change);
    expect([...again.of(REGION).grants.of(KEY_ARN)]).toEqual([]);
  });

  it("leave nothing behind when they go", () => {
    const { grants } = recordedRegions().regions.of(REGION);
    const grant = newGrant({ name: "a", retiringPrincipal: BOB });
    grants.put(grant);
    grants.remove(grant, NOW);
    expect([...grants.of(KEY_ARN), ...grants.retirableBy(BOB)]).toEqual([]);
    expect(grants.findRepeated(grant)).toBeUndefined();
    expect([...grants.allowing(ALICE, question("kms:Decrypt"), view)]).toEqual([]);
  });
});

describe("a key", () => {
  it("has 50,000 grants and no more, but for those that a request with a name finds again", async () => {
    const { regions } = recordedRegions();
    const { keys, grants } = regions.of(REGION);
    const { deletionDate: _, ...key } = await pendingKey();
    keys.put({ ...key, state: "Enabled" });
    for (let count = 1; count < 50_000; count++) grants.put(newGrant());
    const principal = { kind: "root", arn: ROOT, accountId: "111122223333", userId: "root", policies: [] } as const;
    const caller = {
      principal,
      now: NOW,
      conditions: [],
      keys,
      grants,
      regions,
      quotas: undefined,
      endpointPolicy: undefined,
      world: emptyWorld("us-east-1"),
    };
    const recipients = new RecipientVerifier({
      trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)),
      freshnessSeconds: 1,
    });
    const create = (changes: object = {}) => {
      const terms = { KeyId: KEY_ARN, GranteePrincipal: BOB, Operations: ["Decrypt"], Name: "last", ...changes };
      return createGrant.run(terms, caller, recipients, {
        ...{ parameters: {}, resources: [], recipient: undefined, questions: [] },
      });
    };
    const { GrantId } = await create();
    expect(await create()).toMatchObject({ GrantId });
    await expect(create({ Name: "another" })).rejects.toMatchObject({
      type: "LimitExceededException",
      message: `${KEY_ARN} has 50000 grants, which is the most that a key can have.`,
    });
    expect(grants.countOf(KEY_ARN)).toBe(50_000);
    expect([...grants.allowing(BOB, question("kms:Decrypt"), view)]).toHaveLength(1);
  });
});

async function pendingKey(): Promise<KmsKey> {
  return {
    ...{ keyId: KEY_ID, arn: KEY_ARN, accountId: "111122223333", creationDate: NOW, description: "" },
    ...{ keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT", state: "PendingDeletion", tags: new Map() },
    origin: "AWS_KMS",
    deletionDate: new Date(NOW.getTime() + DAY),
    materials: [firstMaterial("first", await newMaterial("SYMMETRIC_DEFAULT"))],
    policy: compileKeyPolicy(JSON.stringify({ Version: "2012-10-17", Statement: [OWN_ACCOUNT] })),
  };
}

describe("a grant", () => {
  const operations = fc.uniqueArray(fc.constantFrom(...GRANT_OPERATIONS));

  it("allows the operations of its list, and no action besides", () => {
    const action = fc.oneof(
      fc.constantFrom(...GRANT_OPERATIONS, "PutKeyPolicy", "ListGrants", "ScheduleKeyDeletion", "*", "Decrypt*"),
      fc.string(),
    );
    fc.assert(
      fc.property(operations, action, (listed, asked) => {
        const { grants } = new Regions(REGION).of(REGION);
        grants.put(newGrant({ operations: listed }));
        const allowed = [...grants.allowing(ALICE, question(`kms:${asked}`), view)].length > 0;
        expect(allowed).toBe(listed.some((operation) => operation === asked));
      }),
    );
  });
});

describe("what grants allow a caller", () => {
  const Statement = (Action: string) => [OWN_ACCOUNT, { Effect: "Deny", Principal: "*", Action, Resource: "*" }];
  const denying = (action: string) =>
    compileKeyPolicy(JSON.stringify({ Version: "2012-10-17", Statement: Statement(action) }));

  /** Decides for a caller without policies, on a key with these grants. */
  function decide(principal: Principal, action: string, given: readonly Grant[], denied: string, sourceArn?: string) {
    const { grants } = new Regions(REGION).of(REGION);
    for (const grant of given) grants.put(grant);
    return authorize({
      ...{ principal, action, values: new Map(sourceArn === undefined ? [] : [["aws:sourcearn", [sourceArn]]]) },
      resource: {
        ...{ arn: KEY_ARN, accountId: "111122223333", keyPolicy: denying(denied) },
        grants: allowedByGrants({ principal, grants, now: NOW }, new Set()),
      },
    }).reason;
  }

  it("an explicit deny takes away, whatever they are", () => {
    const grant = fc.record({
      operations: fc.subarray([...GRANT_OPERATIONS]),
      granteePrincipal: fc.constantFrom(ALICE, BOB, ROOT),
    });
    const operation = fc.constantFrom(...GRANT_OPERATIONS);
    fc.assert(
      fc.property(fc.array(grant, { maxLength: 5 }), operation, operation, (terms, asked, denied) => {
        const reason = decide(
          grantee,
          `kms:${asked}`,
          terms.map((one) => newGrant(one)),
          `kms:${denied}`,
        );
        const granted = terms.some((one) => one.granteePrincipal === ALICE && one.operations.includes(asked));
        if (asked === denied) expect(reason).toBe("denied-by-key-policy");
        else expect(reason === "allowed").toBe(granted);
      }),
    );
  });

  it("is a service's only on behalf of the resource that the grant names", () => {
    const [name, sourceArn] = ["dynamodb.amazonaws.com", "arn:aws:dynamodb:eu-west-1:111122223333:table/one"];
    const service: Principal = { kind: "service", arn: name, accountId: "", userId: name, policies: [] };
    const given = [
      newGrant({ granteePrincipal: undefined, granteeServicePrincipal: name, constraints: { sourceArn } }),
    ];
    const attempt = (caller: Principal, source?: string) =>
      decide(caller, "kms:Decrypt", given, "kms:Encrypt", source) === "allowed";
    expect([attempt(service, sourceArn), attempt(service, `${sourceArn}2`), attempt(service)]).toEqual([
      ...[true, false, false],
    ]);
    expect(attempt({ ...service, arn: "s3.amazonaws.com" }, sourceArn)).toBe(false);
  });

  it("is what its account's principals may of themselves, where the account is the grantee", () => {
    const { grants } = new Regions(REGION).of(REGION);
    grants.put(newGrant({ granteePrincipal: ROOT }));
    const allowing = (Action: string) =>
      compileIdentityPolicy(
        JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action, Resource: "*" }] }),
      );
    const [all, none] = [allowing("kms:*"), allowing("s3:*")];
    const allowed = (policies: object) =>
      allowedByGrants(
        { principal: { ...grantee, policies: [], ...policies }, grants, now: NOW },
        new Set(),
      )(question("kms:Decrypt"));
    expect([allowed({}), allowed({ policies: [none] }), allowed({ policies: [all] })]).toEqual([false, false, true]);
    expect(allowed({ policies: [all], boundary: none })).toBe(false);
    expect(allowed({ policies: [all], boundary: all, sessionPolicies: [none] })).toBe(false);
    expect(allowed({ policies: [all], boundary: all, sessionPolicies: [none, all] })).toBe(true);
  });
});

const contextOf = (pairs: readonly (readonly [string, string])[]) => new Map(pairs);
const context = fc
  .array(fc.tuple(fc.constantFrom("a", "A", "b"), fc.constantFrom("x", "X")), { maxLength: 2 })
  .map(contextOf);
const constraints = fc.record(
  { encryptionContextSubset: context, encryptionContextEquals: context, sourceArn: fc.constantFrom("one", "two") },
  { requiredKeys: [] },
);
const valuesOf = (pairs: ReadonlyMap<string, string>, sourceArn: string | undefined) => {
  const values = new Map<string, string[]>(sourceArn === undefined ? [] : [["aws:sourcearn", [sourceArn]]]);
  for (const [name, value] of pairs) {
    const key = `kms:encryptioncontext:${name.toLowerCase()}`;
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
};

describe("constraints that are as strict as others", () => {
  it("allow nothing that those do not", () => {
    const source = fc.option(fc.constantFrom("one", "two"), { nil: undefined });
    let compared = 0;
    fc.assert(
      fc.property(constraints, constraints, context, source, (parent, changes, more, sourceArn) => {
        const child = { ...parent, ...changes };
        const { encryptionContextSubset: subset = [], encryptionContextEquals: equals = [] } = child;
        for (const pairs of [new Map([...subset, ...equals]), new Map([...more, ...subset])]) {
          const values = valuesOf(pairs, sourceArn);
          if (!asStrictAs(child)(parent) || !satisfiedBy("Decrypt", values)(child)) continue;
          compared += 1;
          expect(satisfiedBy("Decrypt", values)(parent)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    expect(compared).toBeGreaterThan(50);
  });

  it("are as strict as themselves", () => {
    fc.assert(
      fc.property(constraints, (one) => {
        expect(asStrictAs(one)(one)).toBe(true);
      }),
    );
  });
});

describe("a grant token", () => {
  const grant = newGrant();
  const token = newGrantToken(grant.grantId, grant.tokenKey);

  it("is of its grant, whatever number it was made with", () => {
    for (const one of [token, newGrantToken(grant.grantId, grant.tokenKey)]) {
      expect(claimedGrantId(one)).toBe(grant.grantId);
      expect(isGenuine(one, grant.grantId, grant.tokenKey)).toBe(true);
    }
  });

  it("is not, once any byte of it is another", () => {
    fc.assert(
      fc.property(fc.nat({ max: 116 }), fc.integer({ min: 1, max: 255 }), (index, difference) => {
        const bytes = Buffer.from(token, "base64url");
        bytes[index] = (bytes[index] ?? 0) ^ difference;
        const changed = bytes.toString("base64url");
        const claimed = claimedGrantId(changed);
        expect(claimed === grant.grantId && isGenuine(changed, grant.grantId, grant.tokenKey)).toBe(false);
      }),
    );
  });

  it("is no other text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(claimedGrantId(text)).toBeUndefined();
      }),
    );
  });
});
