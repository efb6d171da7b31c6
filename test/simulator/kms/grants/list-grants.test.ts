/** ListGrants and ListRetirableGrants through the unmodified AWS SDK: what they show, in which order, page by page. */
import type { GrantListEntry, ListGrantsCommandInput, ListRetirableGrantsCommandInput } from "@aws-sdk/client-kms";
import { ListGrantsCommand, ListRetirableGrantsCommand, RevokeGrantCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorNameOf, errorOf } from "../../../support/simulated-kms.js";
import { SECOND } from "../../fixtures.js";
import type { GrantedKms } from "./granted-kms.js";
import { ACCOUNT, ALICE, BOB, FOREIGN_ACCOUNT, notAllowed, STRANGER, startGrantedKms } from "./granted-kms.js";

let world: GrantedKms;

beforeAll(async () => {
  world = await startGrantedKms();
});
afterAll(() => world[Symbol.asyncDispose]());

/** A key with a grant for each of these terms, each a second after the one before. */
async function keyWith(...terms: readonly Partial<GrantListEntry>[]) {
  const KeyId = await world.newKey();
  const ids: string[] = [];
  for (const one of terms) {
    world.clock.advance(SECOND);
    ids.push((await world.grant(KeyId, one)).GrantId);
  }
  return { KeyId, ids };
}

const list = (input: ListGrantsCommandInput) => world.operator.send(new ListGrantsCommand(input));
const idsOf = ({ Grants = [] }: { Grants?: GrantListEntry[] | undefined }) => Grants.map(({ GrantId }) => GrantId);

describe("ListGrants", () => {
  it("shows the grants of one key, oldest first", async () => {
    const { KeyId, ids } = await keyWith({}, {}, {});
    await keyWith({});
    const answer = await list({ KeyId });
    expect(idsOf(answer)).toEqual(ids);
    expect([answer.Truncated, answer.NextMarker]).toEqual([false, undefined]);
  });

  it("shows those of one grantee, or the one of an id", async () => {
    const { KeyId, ids } = await keyWith({}, { GranteePrincipal: BOB }, {});
    expect(idsOf(await list({ KeyId, GranteePrincipal: ALICE }))).toEqual([ids[0], ids[2]]);
    expect(idsOf(await list({ KeyId, GranteePrincipal: STRANGER }))).toEqual([]);
    expect(idsOf(await list({ KeyId, GrantId: ids[1] }))).toEqual([ids[1]]);
    expect(idsOf(await list({ KeyId, GrantId: ids[1], GranteePrincipal: ALICE }))).toEqual([]);
    expect(idsOf(await list({ KeyId, GrantId: (await keyWith({})).ids[0] }))).toEqual([]);
    expect(await errorNameOf(list({ KeyId, GrantId: "nothing" }))).toBe("InvalidGrantIdException");
  });

  it("gives page after page, though grants end between them", async () => {
    const { KeyId, ids } = await keyWith({}, {}, {}, {}, {});
    const first = await list({ KeyId, Limit: 2 });
    expect([idsOf(first), first.Truncated]).toEqual([ids.slice(0, 2), true]);
    for (const GrantId of ids.slice(0, 2)) await world.operator.send(new RevokeGrantCommand({ KeyId, GrantId }));
    const second = await list({ KeyId, Limit: 2, Marker: first.NextMarker });
    expect([idsOf(second), second.Truncated]).toEqual([ids.slice(2, 4), true]);
    const third = await list({ KeyId, Limit: 2, Marker: second.NextMarker });
    expect([idsOf(third), third.Truncated, third.NextMarker]).toEqual([ids.slice(4), false, undefined]);
  });

  it("gives fifty at once unless told otherwise, and never more than a hundred", async () => {
    const { KeyId } = await keyWith(...Array.from({ length: 101 }, () => ({})));
    const sizes = [await list({ KeyId }), await list({ KeyId, Limit: 100 }), await list({ KeyId, Limit: 1000 })];
    expect(sizes.map((answer) => [answer.Grants?.length, answer.Truncated])).toEqual([
      ...[[50, true] as const, [100, true] as const, [100, true] as const],
    ]);
  });

  it.each<[string, Partial<ListGrantsCommandInput>, string]>([
    ["a limit of none", { Limit: 0 }, "ValidationException"],
    ["a limit of too many", { Limit: 1001 }, "ValidationException"],
    ["a marker of its own making", { Marker: "made-up" }, "InvalidMarkerException"],
    ["an alias", { KeyId: "alias/none" }, "InvalidArnException"],
    ["two kinds of grantee", { GranteePrincipal: ALICE, GranteeServicePrincipal: "a.b.c" }, "ValidationException"],
    ["a service's filter from another caller", { GranteeServicePrincipal: "a.b.c" }, "ValidationException"],
  ])("refuses %s", async (_, changes, name) => {
    const KeyId = await world.newKey();
    expect(await errorNameOf(list({ KeyId, ...changes }))).toBe(name);
  });

  it("is for whom policies let, not for grantees", async () => {
    const { KeyId } = await keyWith({});
    expect(await errorOf(world.alice.send(new ListGrantsCommand({ KeyId })))).toEqual({
      name: "AccessDeniedException",
      message: notAllowed(ALICE, "ListGrants", KeyId),
    });
  });
});

describe("ListRetirableGrants", () => {
  const RETIRER = `arn:aws:iam::${ACCOUNT}:user/retirer`;
  const retirable = (input: ListRetirableGrantsCommandInput, caller = world.operator) =>
    caller.send(new ListRetirableGrantsCommand(input));

  it("shows what a principal may retire on every key, in any account", async () => {
    const { KeyId: one, ids } = await keyWith({ RetiringPrincipal: RETIRER }, { RetiringPrincipal: BOB }, {});
    const other = await keyWith({ RetiringPrincipal: RETIRER });
    const answer = await retirable({ RetiringPrincipal: RETIRER });
    expect(answer.Grants).toMatchObject([
      { GrantId: ids[0], KeyId: one, RetiringPrincipal: RETIRER },
      { GrantId: other.ids[0], KeyId: other.KeyId },
    ]);
    expect(answer.Truncated).toBe(false);
    const page = await retirable({ RetiringPrincipal: RETIRER, Limit: 1 });
    expect(idsOf(page)).toEqual([ids[0]]);
    expect(idsOf(await retirable({ RetiringPrincipal: RETIRER, Marker: page.NextMarker }))).toEqual(other.ids);
  });

  it("is for principals of the caller's own account, and for callers with the permission", async () => {
    const { principals } = world.kms;
    const Statement = [{ Effect: "Allow", Action: "kms:ListRetirableGrants", Resource: "*" }];
    const policies = [JSON.stringify({ Version: "2012-10-17", Statement })];
    const foreign = world.client(principals.addUser({ name: "lister", policies, accountId: FOREIGN_ACCOUNT }));
    const { ids } = await keyWith({ RetiringPrincipal: STRANGER });
    expect(idsOf(await retirable({ RetiringPrincipal: STRANGER }, foreign))).toEqual(ids);
    expect(await errorNameOf(retirable({ RetiringPrincipal: STRANGER }))).toBe("InvalidArnException");
    expect(await errorOf(retirable({ RetiringPrincipal: ALICE }, world.alice))).toEqual({
      name: "AccessDeniedException",
      message: notAllowed(ALICE, "ListRetirableGrants", "*"),
    });
  });

  it.each<[string, ListRetirableGrantsCommandInput, string]>([
    ["no principal", {}, "ValidationException"],
    ["what is no principal", { RetiringPrincipal: "alice" }, "InvalidArnException"],
    ["two kinds of principal", { RetiringPrincipal: ALICE, RetiringServicePrincipal: "a.b.c" }, "ValidationException"],
    ["a service's filter from another caller", { RetiringServicePrincipal: "a.b.c" }, "ValidationException"],
  ])("refuses %s", async (_, input, name) => {
    expect(await errorNameOf(retirable(input))).toBe(name);
  });
});
