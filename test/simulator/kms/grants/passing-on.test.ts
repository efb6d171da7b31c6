/** CreateGrant through a grant: what a grantee may pass on (KMS Developer Guide, "Granting CreateGrant permission"). */
import type { CreateGrantCommandInput } from "@aws-sdk/client-kms";
import { CreateGrantCommand, DescribeKeyCommand, RevokeGrantCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorNameOf, errorOf } from "../../../support/simulated-kms.js";
import type { GrantedKms } from "./granted-kms.js";
import { ALICE, BOB, notAllowed, startGrantedKms } from "./granted-kms.js";

type Terms = Partial<CreateGrantCommandInput>;
let world: GrantedKms;

beforeAll(async () => {
  world = await startGrantedKms();
});
afterAll(() => world[Symbol.asyncDispose]());

/** Alice grants to bob what she was granted under `parent`. */
const passOn = (KeyId: string, terms: Terms) =>
  world.alice.send(new CreateGrantCommand({ KeyId, GranteePrincipal: BOB, Operations: ["Decrypt"], ...terms }));

async function passedOn(parent: Terms, child: Terms): Promise<string> {
  const KeyId = await world.newKey();
  await world.grant(KeyId, { Operations: ["CreateGrant", "Decrypt", "Encrypt"], ...parent });
  return errorNameOf(passOn(KeyId, child));
}

const subset = (EncryptionContextSubset: Record<string, string>): Terms => ({
  Constraints: { EncryptionContextSubset },
});
const equals = (EncryptionContextEquals: Record<string, string>): Terms => ({
  Constraints: { EncryptionContextEquals },
});
const source = (name: string): Terms => ({ Constraints: { SourceArn: `arn:aws:s3:us-east-1:111122223333:${name}` } });

describe("a grantee with CreateGrant", () => {
  it.each<[string, Terms, Terms]>([
    ["an operation of its grant", {}, { Operations: ["Decrypt"] }],
    ["all operations of its grant, CreateGrant included", {}, { Operations: ["Encrypt", "CreateGrant", "Decrypt"] }],
    ["a constraint where there was none", {}, equals({ a: "1" })],
    ["the same subset", subset({ a: "1" }), subset({ a: "1" })],
    ["a subset with another pair", subset({ a: "1" }), subset({ a: "1", b: "2" })],
    ["a subset with names in another case", subset({ Tenant: "a" }), subset({ tenant: "a" })],
    ["an equality instead of a subset", subset({ a: "1" }), equals({ a: "1", b: "2" })],
    ["the same equality", equals({ a: "1", b: "2" }), equals({ b: "2", a: "1" })],
  ])("may pass on %s", async (_, parent, child) => {
    expect(await passedOn(parent, child)).toBe("no error");
  });

  it.each<[string, Terms, Terms]>([
    ["another operation", {}, { Operations: ["Decrypt", "GenerateDataKey"] }],
    ["RetireGrant, without having it", {}, { Operations: ["Decrypt", "RetireGrant"] }],
    ["without the constraint", subset({ a: "1" }), {}],
    ["with another value", subset({ Tenant: "a" }), subset({ Tenant: "A" })],
    ["with a pair less", subset({ a: "1", b: "2" }), subset({ a: "1" })],
    ["an equality that does not have the pair", subset({ a: "1" }), equals({ b: "2" })],
    ["a subset instead of an equality", equals({ a: "1" }), subset({ a: "1" })],
    ["a larger equality", equals({ a: "1" }), equals({ a: "1", b: "2" })],
    ["what only a request for another resource could ask", source("one"), source("one")],
  ])("may not pass on %s", async (_, parent, child) => {
    expect(await passedOn(parent, child)).toBe("AccessDeniedException");
  });

  it("is told so in AWS's words, and what it passes on is in force", async () => {
    const KeyId = await world.newKey();
    const { GrantId } = await world.grant(KeyId, { Operations: ["CreateGrant", "DescribeKey"] });
    expect(await errorOf(passOn(KeyId, { Operations: ["Decrypt"] }))).toEqual({
      name: "AccessDeniedException",
      message: notAllowed(ALICE, "CreateGrant", KeyId),
    });
    await passOn(KeyId, { Operations: ["DescribeKey"] });
    await world.bob.send(new DescribeKeyCommand({ KeyId }));
    await world.operator.send(new RevokeGrantCommand({ KeyId, GrantId }));
    await world.bob.send(new DescribeKeyCommand({ KeyId })); // a grant does not end with the one it came from
    expect(await errorNameOf(passOn(KeyId, { Operations: ["DescribeKey"] }))).toBe("AccessDeniedException");
  });

  it("may not put two grants together", async () => {
    const KeyId = await world.newKey();
    await world.grant(KeyId, { Operations: ["CreateGrant", "Decrypt"] });
    await world.grant(KeyId, { Operations: ["CreateGrant", "Encrypt"] });
    expect(await errorNameOf(passOn(KeyId, { Operations: ["Decrypt", "Encrypt"] }))).toBe("AccessDeniedException");
    await passOn(KeyId, { Operations: ["Encrypt"] });
  });
});
