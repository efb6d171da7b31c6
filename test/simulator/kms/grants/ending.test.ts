/** RevokeGrant and RetireGrant through the unmodified AWS SDK: who may, of which keys, and what is left afterwards. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  DescribeKeyCommand,
  DisableKeyCommand,
  ListGrantsCommand,
  ListRetirableGrantsCommand,
  RetireGrantCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { errorNameOf, errorOf } from "../../../support/simulated-kms.js";
import { DAY } from "../../fixtures.js";
import type { GrantedKms } from "./granted-kms.js";
import {
  ACCOUNT,
  ALICE,
  BOB,
  FOREIGN_ACCOUNT,
  notAllowed,
  OWN_ACCOUNT,
  ROOT,
  STRANGER,
  startGrantedKms,
} from "./granted-kms.js";

let world: GrantedKms;
let key: string;

beforeAll(async () => {
  world = await startGrantedKms();
});
beforeEach(async () => {
  key = await world.newKey();
});
afterAll(() => world[Symbol.asyncDispose]());

const describeKey = () => errorNameOf(world.alice.send(new DescribeKeyCommand({ KeyId: key })));
const UNKNOWN = "0".repeat(64);
const notFound = (GrantId: string) => ({ name: "NotFoundException", message: `Grant ID ${GrantId} not found` });

describe("RevokeGrant", () => {
  const revoke = (GrantId: string, changes: object = {}, caller = world.operator) =>
    caller.send(new RevokeGrantCommand({ KeyId: key, GrantId, ...changes }));

  it("ends what the grant allowed", async () => {
    const { GrantId, GrantToken } = await world.grant(key);
    expect(await describeKey()).toBe("no error");
    await revoke(GrantId);
    expect(await describeKey()).toBe("AccessDeniedException");
    const withToken = new DescribeKeyCommand({ KeyId: key, GrantTokens: [GrantToken] });
    expect(await errorNameOf(world.alice.send(withToken))).toBe("InvalidGrantTokenException");
    expect(await errorOf(revoke(GrantId))).toEqual(notFound(GrantId));
  });

  it("leaves every other grant", async () => {
    const [one, other] = [await world.grant(key), await world.grant(key)];
    await revoke(one.GrantId);
    expect(await describeKey()).toBe("no error");
    expect((await world.operator.send(new ListGrantsCommand({ KeyId: key }))).Grants).toMatchObject([
      { GrantId: other.GrantId },
    ]);
  });

  it("refuses a grant of another key, one that there is not, and what is no id", async () => {
    const { GrantId } = await world.grant(await world.newKey());
    expect(await errorOf(revoke(GrantId))).toEqual(notFound(GrantId));
    expect(await errorOf(revoke(UNKNOWN))).toEqual(notFound(UNKNOWN));
    expect(await errorNameOf(revoke("nothing"))).toBe("InvalidGrantIdException");
  });

  it("is for whom policies let, not for the grant's own principals", async () => {
    const { GrantId } = await world.grant(key, { RetiringPrincipal: ALICE, Operations: ["RetireGrant"] });
    expect(await errorOf(revoke(GrantId, {}, world.alice))).toEqual({
      name: "AccessDeniedException",
      message: notAllowed(ALICE, "RevokeGrant", key),
    });
  });

  it("does nothing in a dry run, and works on a disabled key", async () => {
    const { GrantId } = await world.grant(key);
    expect(await errorNameOf(revoke(GrantId, { DryRun: true }))).toBe("DryRunOperationException");
    expect(await describeKey()).toBe("no error");
    await world.operator.send(new DisableKeyCommand({ KeyId: key }));
    await revoke(GrantId);
    expect(await describeKey()).toBe("AccessDeniedException");
  });
});

describe("RetireGrant", () => {
  const retire = (caller: KMSClient, GrantId: string, changes: object = {}) =>
    errorNameOf(caller.send(new RetireGrantCommand({ KeyId: key, GrantId, ...changes })));
  const [YES, NO] = ["no error", "AccessDeniedException"];

  it("is for the retiring principal, in any account", async () => {
    const own = await world.grant(key, { RetiringPrincipal: BOB });
    const foreign = await world.grant(key, { RetiringPrincipal: STRANGER });
    expect(await retire(world.alice, own.GrantId)).toBe(NO);
    expect([await retire(world.bob, own.GrantId), await retire(world.stranger, foreign.GrantId)]).toEqual([YES, YES]);
    expect(await describeKey()).toBe(NO);
  });

  it("is for the grantee if the grant says so, and of that grant alone", async () => {
    const without = await world.grant(key, { RetiringPrincipal: BOB });
    const withIt = await world.grant(key, { Operations: ["RetireGrant", "DescribeKey"] });
    expect(await retire(world.alice, without.GrantId)).toBe(NO);
    expect(await retire(world.alice, withIt.GrantId)).toBe(YES);
  });

  it("is for the account that owns the key, its root and whom it gives kms:RetireGrant", async () => {
    const [one, other] = [await world.grant(key), await world.grant(key)];
    await world.putPolicy(key, OWN_ACCOUNT, {
      ...{ Effect: "Allow", Principal: { AWS: ALICE }, Action: "kms:RetireGrant", Resource: "*" },
    });
    expect(await retire(world.alice, one.GrantId)).toBe(NO); // the permission has no effect in a key policy
    expect(await retire(world.client(world.kms.principals.addRoot()), one.GrantId)).toBe(YES);
    expect(await retire(world.operator, other.GrantId)).toBe(YES);
  });

  it("is for whom the retiring account gives kms:RetireGrant, and for nobody else there", async () => {
    const Statement = [{ Effect: "Allow", Action: "kms:RetireGrant", Resource: "*" }];
    const policies = [JSON.stringify({ Version: "2012-10-17", Statement })];
    const permitted = world.client(
      world.kms.principals.addUser({ name: "permitted", policies, accountId: FOREIGN_ACCOUNT }),
    );
    const theirs = await world.grant(key, { RetiringPrincipal: `arn:aws:iam::${FOREIGN_ACCOUNT}:root` });
    const ours = await world.grant(key, { RetiringPrincipal: `arn:aws:iam::${ACCOUNT}:root` });
    expect([await retire(permitted, ours.GrantId), await retire(world.stranger, theirs.GrantId)]).toEqual([NO, NO]);
    expect(await retire(permitted, theirs.GrantId)).toBe(YES);
  });

  it("is kept from whom an identity policy denies it", async () => {
    const Statement = [{ Effect: "Deny", Action: "kms:RetireGrant", Resource: "*" }];
    const policies = [JSON.stringify({ Version: "2012-10-17", Statement })];
    const denied = world.client(world.kms.principals.addUser({ name: "denied", policies }));
    const { GrantId } = await world.grant(key, { RetiringPrincipal: `arn:aws:iam::${ACCOUNT}:user/denied` });
    expect(await retire(denied, GrantId)).toBe(NO);
  });

  it("takes a grant token instead of the ids", async () => {
    const { GrantToken, GrantId } = await world.grant(key, { RetiringPrincipal: BOB });
    expect(await retire(world.alice, UNKNOWN, { KeyId: undefined, GrantId: undefined, GrantToken })).toBe(NO);
    expect(await retire(world.bob, GrantId, { KeyId: undefined, GrantId: undefined, GrantToken })).toBe(YES);
    expect(await describeKey()).toBe(NO);
    expect(await retire(world.bob, GrantId, { KeyId: undefined, GrantId: undefined, GrantToken })).toBe(
      "InvalidGrantTokenException",
    );
  });

  it("refuses what does not say which grant", async () => {
    const { GrantId } = await world.grant(key);
    for (const which of [{ GrantId: undefined }, { KeyId: undefined }]) {
      const call = world.operator.send(new RetireGrantCommand({ KeyId: key, GrantId, ...which }));
      expect(await errorOf(call)).toEqual({
        name: "ValidationException",
        message: "You must specify either GrantToken, or both KeyId and GrantId.",
      });
    }
    expect(await errorOf(world.operator.send(new RetireGrantCommand({ KeyId: key, GrantId: UNKNOWN })))).toEqual(
      notFound(UNKNOWN),
    );
    expect(await retire(world.operator, "nothing")).toBe("InvalidGrantIdException");
  });

  it("does nothing in a dry run, and works on a disabled key", async () => {
    const { GrantId } = await world.grant(key, { RetiringPrincipal: BOB });
    expect(await retire(world.bob, GrantId, { DryRun: true })).toBe("DryRunOperationException");
    expect(await describeKey()).toBe("no error");
    await world.operator.send(new DisableKeyCommand({ KeyId: key }));
    expect(await retire(world.bob, GrantId)).toBe(YES);
  });

  it("is recorded with the key, and without its token", async () => {
    const { GrantToken } = await world.grant(key, { RetiringPrincipal: BOB });
    await world.bob.send(new RetireGrantCommand({ GrantToken }));
    const record = world.kms.auditLog.records.at(-1);
    expect(record).toMatchObject({ eventName: "RetireGrant", readOnly: false, requestParameters: null });
    expect(record?.resources).toMatchObject([{ ARN: key }]);
  });
});

describe("the grants of a key that is pending deletion", () => {
  it("can be listed, retired and revoked, and go with the key", async () => {
    const [one, other] = [await world.grant(key, { RetiringPrincipal: BOB }), await world.grant(key)];
    const { GrantId } = await world.grant(key, { RetiringPrincipal: ROOT });
    await world.operator.send(new ScheduleKeyDeletionCommand({ KeyId: key, PendingWindowInDays: 7 }));
    await world.bob.send(new RetireGrantCommand({ KeyId: key, GrantId: one.GrantId }));
    await world.operator.send(new RevokeGrantCommand({ KeyId: key, GrantId: other.GrantId }));
    const listed = await world.operator.send(new ListGrantsCommand({ KeyId: key }));
    expect(listed.Grants).toMatchObject([{ GrantId }]);
    const retirable = () => world.operator.send(new ListRetirableGrantsCommand({ RetiringPrincipal: ROOT }));
    const ids = async () => ((await retirable()).Grants ?? []).map((grant) => grant.GrantId);
    expect(await ids()).toContain(GrantId);
    world.clock.advance(7 * DAY);
    await errorOf(retirable()); // by its refusal the client learns the time
    expect(await ids()).not.toContain(GrantId);
  });
});
