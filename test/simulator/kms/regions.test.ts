/** Several Regions in one server: a key lives in the Region that its request was signed for, and nowhere else. */
import { CreateAliasCommand, CreateKeyCommand, DescribeKeyCommand, ListAliasesCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { errorNameOf, errorOf, kmsClient } from "../../support/simulated-kms.js";
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

describe("a Region that nobody has heard of", () => {
  it("takes no other's place, whoever signs for it", async () => {
    const nobody = kms.principals.addUser({ name: "nobody" });
    const areas = ["us", "ap", "sa", "ca", "me", "af", "il", "mx"];
    for (const region of areas.flatMap((area) => [1, 2, 3, 4, 5, 6, 7, 8, 9].map((one) => `${area}-south-${one}`))) {
      const client = kmsClient({ ...kms, region }, clock, nobody);
      expect(await errorNameOf(client.send(new ListAliasesCommand({})))).toBe("AccessDeniedException");
      client.destroy();
    }
    const stockholm = kmsClient({ ...kms, region: "eu-north-1" }, clock);
    expect(await errorNameOf(stockholm.send(new CreateKeyCommand({})))).toBe("no error");
    stockholm.destroy();
  });
});
