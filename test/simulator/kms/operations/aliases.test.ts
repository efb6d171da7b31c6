/** Aliases through the unmodified AWS SDK: what they do, the permissions that they take, and each wrong thing with its AWS error. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  ListAliasesCommand,
  PutKeyPolicyCommand,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import { clockAt, NOW } from "../../fixtures.js";

const clock = clockAt();
const ACCOUNT = "arn:aws:kms:us-east-1:111122223333";
let kms: SimulatedKms;
let client: KMSClient;
let key: string;
let other: string;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  [key, other] = [await newKey(), await newKey()];
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

const newKey = async (options: ConstructorParameters<typeof CreateKeyCommand>[0] = {}): Promise<string> =>
  (await client.send(new CreateKeyCommand(options))).KeyMetadata?.Arn ?? "";
const create = (AliasName: string, TargetKeyId = key, from = client) =>
  from.send(new CreateAliasCommand({ AliasName, TargetKeyId }));
const update = (AliasName: string, TargetKeyId = other, from = client) =>
  from.send(new UpdateAliasCommand({ AliasName, TargetKeyId }));
const remove = (AliasName: string, from = client) => from.send(new DeleteAliasCommand({ AliasName }));
const targetOf = async (KeyId: string) => (await client.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata?.Arn;

const PREFIX =
  'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html';
const notThere = (name: string): [string, string, string] => {
  return [name, "NotFoundException", `Alias ${ACCOUNT}:${name} is not found.`];
};

describe("CreateAlias", () => {
  it("gives a key a name, and several", async () => {
    await create("alias/one");
    await create("alias/two/three");
    expect([await targetOf("alias/one"), await targetOf(`${ACCOUNT}:alias/two/three`)]).toEqual([key, key]);
  });

  it.each([
    ["a-name", "ValidationException", PREFIX],
    ["alias/", "ValidationException", PREFIX],
    ["alias/a:b", "ValidationException", "alias/a:b contains invalid characters for an alias"],
    ["alias/aws/ebs", "NotAuthorizedException", ""],
    ["alias/one", "AlreadyExistsException", `An alias with the name ${ACCOUNT}:alias/one already exists`],
  ])("refuses the name %s", async (name, type, message) => {
    expect(await errorOf(create(name))).toEqual({ name: type, message: message === "" ? expect.any(String) : message });
  });

  it.each([
    ["alias/one", "ValidationException", "Aliases must refer to keys. Not aliases"],
    [`${ACCOUNT}:alias/one`, "ValidationException", "Aliases must refer to keys. Not aliases"],
    ["no-key", "NotFoundException", "Invalid keyId 'no-key'"],
  ])("refuses the target %s", async (target, name, message) => {
    expect(await errorOf(create("alias/new", target))).toEqual({ name, message });
  });

  it("gives a key fifty names and no more", async () => {
    const target = await newKey();
    for (let n = 0; n < 50; n += 1) await create(`alias/many-${n}`, target);
    expect(await errorNameOf(create("alias/many-50", target))).toBe("LimitExceededException");
    expect(await errorNameOf(update("alias/one", target))).toBe("LimitExceededException");
    await remove("alias/many-0");
    await create("alias/many-50", target);
  });
});

describe("UpdateAlias", () => {
  it("gives the name to another key, and says when", async () => {
    await create("alias/moving");
    clock.advance(1000);
    await update("alias/moving");
    expect(await targetOf("alias/moving")).toBe(other);
    await update(`${ACCOUNT}:alias/moving`, key);
    expect(await targetOf("alias/moving")).toBe(key);
    const { Aliases } = await client.send(new ListAliasesCommand({ Limit: 100 }));
    expect(Aliases?.find(({ AliasName }) => AliasName === "alias/moving")).toMatchObject({
      CreationDate: NOW,
      LastUpdatedDate: clock(),
    });
  });

  it("stays with one usage and one type of key", async () => {
    const signing = await newKey({ KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
    const rsaSigning = await newKey({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" });
    const rsa = await newKey({ KeySpec: "RSA_2048", KeyUsage: "ENCRYPT_DECRYPT" });
    await create("alias/kinds");
    const changed = (what: string, to: string, from: string) =>
      `Alias ${ACCOUNT}:alias/kinds cannot be changed from a CMK with key ${what} ${from} to a CMK with key ${what} ${to}. The key ${what} of the current CMK and the new CMK must be the same.`;
    expect(await errorOf(update("alias/kinds", signing))).toEqual({
      name: "ValidationException",
      message: changed("usage", "SIGN_VERIFY", "ENCRYPT_DECRYPT"),
    });
    expect(await errorOf(update("alias/kinds", rsa))).toEqual({
      name: "ValidationException",
      message: changed("type", "RSA_2048", "SYMMETRIC_DEFAULT"),
    });
    await create("alias/signing", signing);
    await update("alias/signing", rsaSigning);
    expect(await targetOf("alias/signing")).toBe(rsaSigning);
  });

  it.each<[string, string, string]>([
    notThere("alias/none"),
    notThere("alias/aws/none"),
    ["a-name", "ValidationException", PREFIX],
    ["arn:aws:kms:eu-west-1:111122223333:alias/one", "NotFoundException", "Invalid arn eu-west-1"],
  ])("and DeleteAlias refuse the name %s", async (alias, name, message) => {
    expect(await errorOf(update(alias))).toEqual({ name, message });
    expect(await errorOf(remove(alias))).toEqual({ name, message });
  });

  it("refuses a target that is an alias", async () => {
    expect(await errorOf(update("alias/one", "alias/two/three"))).toEqual({
      name: "ValidationException",
      message: "Aliases must refer to keys. Not aliases",
    });
  });
});

describe("DeleteAlias", () => {
  it("takes a name away, by its ARN as well", async () => {
    for (const named of ["alias/short-lived", `${ACCOUNT}:alias/short-lived`]) {
      await create("alias/short-lived");
      await remove(named);
      expect(await errorNameOf(targetOf("alias/short-lived"))).toBe("NotFoundException");
    }
  });
});

describe("ListAliases", () => {
  it("lists in pages, in the order of names, those of one key if it is named", async () => {
    const target = await newKey();
    for (const name of ["c", "a", "b"]) await create(`alias/listed-${name}`, target);
    const first = await client.send(new ListAliasesCommand({ KeyId: target, Limit: 2 }));
    const entry = (name: string) => ({
      AliasName: `alias/listed-${name}`,
      AliasArn: `${ACCOUNT}:alias/listed-${name}`,
      TargetKeyId: target.split("/")[1],
      CreationDate: clock(),
      LastUpdatedDate: clock(),
    });
    expect([first.Aliases, first.Truncated]).toEqual([[entry("a"), entry("b")], true]);
    const Marker = first.NextMarker;
    const last = await client.send(new ListAliasesCommand({ KeyId: target, Marker }));
    expect([last.Aliases, last.Truncated, last.NextMarker]).toEqual([[entry("c")], false, undefined]);
    expect(await errorNameOf(client.send(new ListAliasesCommand({ Marker })))).toBe("InvalidMarkerException");
    expect((await client.send(new ListAliasesCommand({}))).Aliases).toHaveLength(50);
  });

  it.each([
    ["alias/one", "InvalidArnException", "Key Aliases are not supported for this operation."],
    ["no-key", "NotFoundException", "Invalid keyId 'no-key'"],
  ])("refuses the key %s", async (KeyId, name, message) => {
    expect(await errorOf(client.send(new ListAliasesCommand({ KeyId })))).toEqual({ name, message });
  });

  it("shows nothing of another account", async () => {
    const stranger = kmsClient(kms, clock, kms.principals.addRoot({ accountId: "444455556666" }));
    expect((await stranger.send(new ListAliasesCommand({}))).Aliases).toEqual([]);
    expect(await errorNameOf(stranger.send(new ListAliasesCommand({ KeyId: key })))).toBe("NotFoundException");
    stranger.destroy();
  });
});

describe("permissions", () => {
  const allow = (Resource: string) =>
    JSON.stringify({ Statement: [{ Effect: "Allow", Action: "kms:*Alias", Resource }] });

  /** A user who may do anything with aliases, and with keys what the key policy of each says. */
  const userWith = (name: string, Resource: string) =>
    kmsClient(kms, clock, kms.principals.addUser({ name, policies: [allow(Resource)] }));

  async function letIn(KeyId: string, name: string | undefined): Promise<void> {
    const user = { AWS: `arn:aws:iam::111122223333:user/${name}` };
    const operator = {
      Effect: "Allow",
      Principal: { AWS: "arn:aws:iam::111122223333:user/operator" },
      Action: "kms:*",
      Resource: "*",
    };
    const named = { Effect: "Allow", Principal: user, Action: "kms:*Alias", Resource: "*" };
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: name ? [operator, named] : [operator] });
    await client.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  }

  it("are needed on the alias and on every key that loses or gets it", async () => {
    const [from, to] = [await newKey(), await newKey()];
    const user = userWith("namer", "arn:aws:kms:*:*:alias/allowed-*");
    await letIn(from, "namer");
    await letIn(to, undefined);
    await create("alias/allowed-1", from, user);
    expect(await errorNameOf(create("alias/other-1", from, user))).toBe("AccessDeniedException");
    expect(await errorNameOf(create("alias/allowed-2", to, user))).toBe("AccessDeniedException");
    expect(await errorNameOf(update("alias/allowed-1", to, user))).toBe("AccessDeniedException");
    await letIn(to, "namer");
    await update("alias/allowed-1", to, user);
    expect(await errorNameOf(update("alias/one", to, user))).toBe("AccessDeniedException");
    await letIn(from, undefined);
    expect(await errorNameOf(update("alias/allowed-1", from, user))).toBe("AccessDeniedException");
    await letIn(to, undefined);
    expect(await errorNameOf(remove("alias/allowed-1", user))).toBe("AccessDeniedException");
    await letIn(to, "namer");
    await remove("alias/allowed-1", user);
    user.destroy();
  });
});
