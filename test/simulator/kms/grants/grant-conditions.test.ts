/** The condition keys of grants (KMS Developer Guide, "Controlling access to grants"), in key policies. */
import { CreateGrantCommand, ListGrantsCommand, RevokeGrantCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorNameOf } from "../../../support/simulated-kms.js";
import type { GrantedKms } from "./granted-kms.js";
import { ALICE, BOB, OWN_ACCOUNT, startGrantedKms } from "./granted-kms.js";

let world: GrantedKms;

beforeAll(async () => {
  world = await startGrantedKms();
});
afterAll(() => world[Symbol.asyncDispose]());

describe("policies are told of a new grant", () => {
  const create = (KeyId: string, changes: object = {}) =>
    errorNameOf(
      world.alice.send(new CreateGrantCommand({ KeyId, GranteePrincipal: BOB, Operations: ["Decrypt"], ...changes })),
    );
  const [YES, NO] = ["no error", "AccessDeniedException"];
  const SourceArn = "arn:aws:s3:us-east-1:111122223333:bucket";

  it.each<[string, object, object, object]>([
    [
      "its operations",
      { "ForAllValues:StringEquals": { "kms:GrantOperations": ["Encrypt", "Decrypt"] } },
      { Operations: ["Decrypt", "Encrypt"] },
      { Operations: ["Decrypt", "DescribeKey"] },
    ],
    ["its grantee", { StringEquals: { "kms:GranteePrincipal": BOB } }, {}, { GranteePrincipal: ALICE }],
    ["its retiring principal", { StringEquals: { "kms:RetiringPrincipal": ALICE } }, { RetiringPrincipal: ALICE }, {}],
    [
      "the kind of its constraint",
      { StringEquals: { "kms:GrantConstraintType": "EncryptionContextSubset" } },
      { Constraints: { EncryptionContextSubset: { a: "1" } } },
      { Constraints: { EncryptionContextEquals: { a: "1" } } },
    ],
    ["its source ARN", { ArnLike: { "kms:GrantConstraintSourceArn": SourceArn } }, { Constraints: { SourceArn } }, {}],
    [
      "its encryption context",
      { StringEquals: { "kms:EncryptionContext:a": "1" } },
      { Constraints: { EncryptionContextEquals: { a: "1" } } },
      { Constraints: { EncryptionContextEquals: { a: "2" } } },
    ],
  ])("%s", async (_, Condition, allowed, refused) => {
    const KeyId = await world.newKey();
    const permission = { Effect: "Allow", Principal: { AWS: ALICE }, Action: "kms:CreateGrant", Resource: "*" };
    await world.putPolicy(KeyId, OWN_ACCOUNT, { ...permission, Condition });
    expect(await create(KeyId, allowed)).toBe(YES);
    expect(await create(KeyId, refused)).toBe(NO);
  });

  it("a service's grants can be all that a principal may make, list and revoke", async () => {
    const KeyId = await world.newKey();
    const Condition = { Bool: { "kms:GrantIsForAWSResource": "true" } };
    const Action = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"];
    await world.putPolicy(KeyId, OWN_ACCOUNT, {
      ...{ Effect: "Allow", Principal: { AWS: ALICE }, Action, Resource: "*", Condition },
    });
    const { GrantId } = await world.grant(KeyId);
    const others = [new ListGrantsCommand({ KeyId }), new RevokeGrantCommand({ KeyId, GrantId })] as const;
    const answers = [await errorNameOf(world.alice.send(others[0])), await errorNameOf(world.alice.send(others[1]))];
    expect([await create(KeyId), ...answers]).toEqual([NO, NO, NO]);
  });
});
