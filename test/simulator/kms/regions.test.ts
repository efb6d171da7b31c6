/** Several Regions in one server: a key lives in the Region that its request was signed for, and nowhere else. */
import { CreateAliasCommand, CreateKeyCommand, DescribeKeyCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorOf, kmsClient } from "../../support/simulated-kms.js";
import { clockAt } from "../fixtures.js";

const clock = clockAt();
let kms: SimulatedKms;

beforeAll(async () => {
  kms = await startKms({ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), clock });
});
afterAll(() => kms.close());

describe("a key of one Region", () => {
  it("has the Region in its ARN, and is unknown in another one", async () => {
    const [virginia, ireland] = [kmsClient(kms, clock), kmsClient({ ...kms, region: "eu-west-1" }, clock)];
    const { KeyMetadata } = await ireland.send(new CreateKeyCommand({}));
    const { KeyId, Arn } = { KeyId: KeyMetadata?.KeyId ?? "", Arn: KeyMetadata?.Arn ?? "" };
    expect(Arn).toBe(`arn:aws:kms:eu-west-1:111122223333:key/${KeyId}`);
    expect(await errorOf(ireland.send(new DescribeKeyCommand({ KeyId })))).toEqual({ name: "no error", message: "" });
    expect(await errorOf(virginia.send(new DescribeKeyCommand({ KeyId })))).toEqual({
      name: "NotFoundException",
      message: `Key 'arn:aws:kms:us-east-1:111122223333:key/${KeyId}' does not exist`,
    });
    expect(await errorOf(virginia.send(new DescribeKeyCommand({ KeyId: Arn })))).toEqual({
      name: "NotFoundException",
      message: "Invalid arn eu-west-1",
    });
    virginia.destroy();
    ireland.destroy();
  });

  it("does not share its aliases", async () => {
    const clients = ["eu-central-1", "ap-southeast-2"].map((region) => kmsClient({ ...kms, region }, clock));
    for (const client of clients) {
      const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
      await client.send(new CreateAliasCommand({ AliasName: "alias/same", TargetKeyId: KeyMetadata?.KeyId }));
      const described = await client.send(new DescribeKeyCommand({ KeyId: "alias/same" }));
      expect(described.KeyMetadata?.KeyId).toBe(KeyMetadata?.KeyId);
      client.destroy();
    }
  });

  it("is recorded under its Region", () => {
    expect(kms.auditLog.records.map(({ awsRegion }) => awsRegion)).toEqual(
      expect.arrayContaining(["eu-west-1", "us-east-1", "eu-central-1", "ap-southeast-2"]),
    );
  });
});
