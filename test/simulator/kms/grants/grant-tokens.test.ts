/** Grant tokens, and grants that take their time to be known: who may what, at which moment of the simulator's clock. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  DecryptCommand,
  DescribeKeyCommand,
  ListGrantsCommand,
  ReEncryptCommand,
  RetireGrantCommand,
  RevokeGrantCommand,
} from "@aws-sdk/client-kms";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { errorNameOf, errorOf } from "../../../support/simulated-kms.js";
import { SECOND } from "../../fixtures.js";
import type { GrantedKms } from "./granted-kms.js";
import { ALICE, BOB, startGrantedKms } from "./granted-kms.js";

const CONSISTENCY_SECONDS = 300;
const [YES, NO] = ["no error", "AccessDeniedException"];
let world: GrantedKms;
let key: string;

// One for each test: a client that has been silent for longer than a signature lasts would have the time wrong.
beforeEach(async () => {
  world = await startGrantedKms({ grantConsistencySeconds: CONSISTENCY_SECONDS });
  key = await world.newKey();
});
afterEach(() => world[Symbol.asyncDispose]());

const describeKey = (GrantTokens?: string[], caller: KMSClient = world.alice) =>
  errorNameOf(caller.send(new DescribeKeyCommand({ KeyId: key, GrantTokens })));

const changed = (text: string, index: number) =>
  `${text.slice(0, index)}${text[index] === "A" ? "B" : "A"}${text.slice(index + 1)}`;

describe("a grant that takes its time", () => {
  it("counts from the time when it is known, and with its token at once", async () => {
    const { GrantToken } = await world.grant(key);
    expect([await describeKey(), await describeKey([GrantToken])]).toEqual([NO, YES]);
    world.clock.advance(CONSISTENCY_SECONDS * SECOND - 1);
    expect([await describeKey(), await describeKey([GrantToken])]).toEqual([NO, YES]);
    world.clock.advance(1);
    expect([await describeKey(), await describeKey([GrantToken])]).toEqual([YES, YES]);
  });

  it("counts on after it was revoked, until that is known", async () => {
    const { GrantId, GrantToken } = await world.grant(key);
    world.clock.advance(CONSISTENCY_SECONDS * SECOND);
    await world.operator.send(new RevokeGrantCommand({ KeyId: key, GrantId }));
    expect([await describeKey(), await describeKey([GrantToken])]).toEqual([YES, YES]);
    expect((await world.operator.send(new ListGrantsCommand({ KeyId: key }))).Grants).toEqual([]);
    world.clock.advance(CONSISTENCY_SECONDS * SECOND - 1);
    expect(await describeKey()).toBe(YES);
    world.clock.advance(1);
    expect([await describeKey(), await describeKey([GrantToken])]).toEqual([NO, "InvalidGrantTokenException"]);
  });

  it("that has ended cannot be ended again", async () => {
    const { GrantId, GrantToken } = await world.grant(key, { RetiringPrincipal: ALICE });
    await world.alice.send(new RetireGrantCommand({ GrantToken }));
    const gone = { name: "NotFoundException", message: `Grant ID ${GrantId} not found` };
    expect(await errorOf(world.alice.send(new RetireGrantCommand({ GrantToken })))).toEqual(gone);
    expect(await errorOf(world.operator.send(new RevokeGrantCommand({ KeyId: key, GrantId })))).toEqual(gone);
  });
});

describe("a grant token", () => {
  it("is none of another grantee's permissions", async () => {
    const { GrantToken } = await world.grant(key, { GranteePrincipal: BOB });
    expect([await describeKey([GrantToken]), await describeKey([GrantToken], world.bob)]).toEqual([NO, YES]);
  });

  it("does not widen its grant", async () => {
    const { GrantToken } = await world.grant(key, { Operations: ["Encrypt"] });
    expect(await describeKey([GrantToken])).toBe(NO);
  });

  it("of one key goes beside that of the other", async () => {
    const other = await world.newKey();
    const { GrantToken: from } = await world.grant(key, { Operations: ["ReEncryptFrom"] });
    const { GrantToken: to } = await world.grant(other, { Operations: ["ReEncryptTo"] });
    const CiphertextBlob = await world.encrypted(key);
    const reEncrypt = (...GrantTokens: string[]) =>
      errorNameOf(world.alice.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: other, GrantTokens })));
    expect([await reEncrypt(from, to), await reEncrypt(from), await reEncrypt(to)]).toEqual([YES, NO, NO]);
  });

  it("is the same as any other token of its grant", async () => {
    const [one, other] = [await world.grant(key, { Name: "name" }), await world.grant(key, { Name: "name" })];
    expect(one.GrantToken).not.toBe(other.GrantToken);
    expect([await describeKey([one.GrantToken]), await describeKey([other.GrantToken])]).toEqual([YES, YES]);
  });

  it("that is not known is refused, whoever sends it and wherever it was changed", async () => {
    const { GrantToken } = await world.grant(key);
    const { GrantToken: other } = await world.grant(key);
    const forged = [
      ...["AQpA", "nonsense!", "x".repeat(8192), `${GrantToken}A`, GrantToken.slice(0, -1), ` ${GrantToken}`],
      ...[0, 5, 50, 92, 100, 120, GrantToken.length - 1].map((index) => changed(GrantToken, index)),
      `${other.slice(0, 92)}${GrantToken.slice(92)}`, // the one grant's id, the other's code
    ];
    for (const token of forged) {
      expect(await describeKey([GrantToken, token]), token).toBe("InvalidGrantTokenException");
      expect(await describeKey([token], world.operator), token).toBe("InvalidGrantTokenException");
    }
  });

  it("comes in lists of no more than ten, and is 8192 characters at most", async () => {
    const { GrantToken } = await world.grant(key);
    expect(await describeKey(Array.from({ length: 10 }, () => GrantToken))).toBe(YES);
    const tooMany = Array.from({ length: 11 }, () => GrantToken);
    const call = new DescribeKeyCommand({ KeyId: key, GrantTokens: tooMany });
    expect(await errorOf(world.alice.send(call))).toEqual({
      name: "ValidationException",
      message: `1 validation error detected: Value '[${tooMany.join(", ")}]' at 'grantTokens' failed to satisfy constraint: Member must have length less than or equal to 10`,
    });
    expect(await describeKey(["x".repeat(8193)])).toBe("ValidationException");
  });

  it("is looked at after the key, and before what the call is for", async () => {
    const CiphertextBlob = await world.encrypted(key);
    const decrypt = new DecryptCommand({ CiphertextBlob, GrantTokens: ["unknown"], EncryptionContext: { no: "one" } });
    expect(await errorNameOf(world.operator.send(decrypt))).toBe("InvalidGrantTokenException");
    const unknown = new DescribeKeyCommand({ KeyId: key.replace(/.{12}$/, "0".repeat(12)), GrantTokens: ["unknown"] });
    expect(await errorNameOf(world.operator.send(unknown))).toBe("NotFoundException");
  });
});
