/** How requests name keys (KMS Developer Guide, "Key identifiers"), and what they hear of names that are none. */
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateGrantCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetKeyPolicyCommand,
  ListGrantsCommand,
  PutKeyPolicyCommand,
  RevokeGrantCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
const PREFIX = "arn:aws:kms:us-east-1:111122223333:";
const ALIAS = "alias/named";
let kms: SimulatedKms;
let client: KMSClient;
let arn: string;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
  client = kmsClient(kms, clock);
  arn = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
  await client.send(new CreateAliasCommand({ AliasName: ALIAS, TargetKeyId: arn }));
});

afterAll(async () => {
  client.destroy();
  await kms.close();
});

const describeKey = (KeyId: string) => client.send(new DescribeKeyCommand({ KeyId }));

describe("A key is known", () => {
  it.each([
    ["its ARN", () => arn],
    ["its id", () => arn.slice(arn.indexOf("/") + 1)],
    ["an alias", () => ALIAS],
    ["an alias's ARN", () => PREFIX + ALIAS],
  ])("by %s", async (_what, name) => {
    expect((await describeKey(name())).KeyMetadata?.Arn).toBe(arn);
  });
});

describe("A name of no key", () => {
  const SINGLE = "12345678-1234-1234-1234-123456789012";
  const UPPER = "786CA7CD-B74B-42B3-B887-902AD7AB6429";
  const MULTI = "mrk-1234567812341234123412345678901a";

  it.each([
    [SINGLE, `Key '${PREFIX}key/${SINGLE}' does not exist`],
    [UPPER, `Key '${PREFIX}key/${UPPER}' does not exist`],
    [MULTI, `Key '${PREFIX}key/${MULTI}' does not exist`],
    [`${PREFIX}key/${SINGLE}`, `Key '${PREFIX}key/${SINGLE}' does not exist`],
    [`${PREFIX}key/foo`, "Invalid keyId foo"],
    ["foo", "Invalid keyId 'foo'"],
    [SINGLE.replaceAll("-", ""), `Invalid keyId '${SINGLE.replaceAll("-", "")}'`],
    ["mrk-1234", "Invalid keyId 'mrk-1234'"],
    ["alias/none", `Alias ${PREFIX}alias/none is not found.`],
    [`${PREFIX}alias/none`, `Alias ${PREFIX}alias/none is not found.`],
    [`arn:aws:kms:us-west-2:111122223333:key/${SINGLE}`, "Invalid arn us-west-2"],
    ["arn:aws:kms:us-west-2:111122223333:alias/none", "Invalid arn us-west-2"],
  ])("is told apart: %s", async (name, message) => {
    expect(await errorOf(describeKey(name))).toEqual({ name: "NotFoundException", message });
  });
});

describe("An alias is refused where only keys have a name", () => {
  it.each([
    ["EnableKey", (KeyId: string) => client.send(new EnableKeyCommand({ KeyId }))],
    ["DisableKey", (KeyId: string) => client.send(new DisableKeyCommand({ KeyId }))],
    ["GetKeyPolicy", (KeyId: string) => client.send(new GetKeyPolicyCommand({ KeyId }))],
    ["PutKeyPolicy", (KeyId: string) => client.send(new PutKeyPolicyCommand({ KeyId, Policy: "{}" }))],
    ["ListGrants", (KeyId: string) => client.send(new ListGrantsCommand({ KeyId }))],
    ["RevokeGrant", (KeyId: string) => client.send(new RevokeGrantCommand({ KeyId, GrantId: "1".repeat(64) }))],
    [
      "CreateGrant",
      (KeyId: string) =>
        client.send(
          new CreateGrantCommand({
            KeyId,
            GranteePrincipal: "arn:aws:iam::111122223333:root",
            Operations: ["Decrypt"],
          }),
        ),
    ],
  ])("%s", async (_operation, call) => {
    const refusal = { name: "InvalidArnException", message: "Key Aliases are not supported for this operation." };
    for (const name of [ALIAS, PREFIX + ALIAS, "alias/none"]) expect(await errorOf(call(name))).toEqual(refusal);
  });
});
