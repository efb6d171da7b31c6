/** GetKeyLastUsage through the AWS SDK: what counts as a use, for whom, and since when. */
import { join } from "node:path";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetKeyLastUsageCommand,
  ReEncryptCommand,
  ReplicateKeyCommand,
  ScheduleKeyDeletionCommand,
  VerifyMacCommand,
} from "@aws-sdk/client-kms";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../../shared/bytes.js";
import type { SimulatedKms } from "../../../../simulator/endpoint/server.js";
import { startKms } from "../../../../simulator/endpoint/server.js";
import { ADMINISTRATOR_POLICY } from "../../../../simulator/iam/principals.js";
import { testFolder } from "../../../support/folder.js";
import { errorNameOf, errorOf, kmsClient } from "../../../support/simulated-kms.js";
import type { SetClock } from "../../fixtures.js";
import { clockAt, DAY, NOW, SECOND } from "../../fixtures.js";

const operatorAccessKey = { accessKeyId: "AKIAOPERATOR", secretAccessKey: "operator" };
const Plaintext = utf8("a secret");
const GUEST = "444455556666";
let clock: SetClock;
let kms: SimulatedKms;
let client: KMSClient;
let data: { readonly folder: string };

beforeEach(async () => {
  clock = clockAt();
  data = { folder: join(testFolder(), "data") };
  await start();
});
afterEach(stop);

async function start(): Promise<void> {
  const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
  kms = await startKms({ trustAnchor, clock, operatorAccessKey, data, protocol: "http" });
  client = kmsClient(kms, clock);
}

async function stop(): Promise<void> {
  client.destroy();
  await kms.close();
}

const newKey = async (input = {}, by = client): Promise<string> =>
  (await by.send(new CreateKeyCommand(input))).KeyMetadata?.Arn ?? "";
const usageOf = async (KeyId: string, by = client) => {
  const { $metadata: _, ...answer } = await by.send(new GetKeyLastUsageCommand({ KeyId }));
  return answer;
};
/** The newest record of the operation, as the answer names it. */
function recorded(Operation: string, accountId = kms.accountId) {
  const record = kms.auditLog.records
    .filter(({ eventName, recipientAccountId }) => eventName === Operation && recipientAccountId === accountId)
    .at(-1);
  const [CloudTrailEventId, KmsRequestId] = [record?.eventID, record?.requestID];
  return { Operation, Timestamp: new Date(record?.eventTime ?? ""), CloudTrailEventId, KmsRequestId };
}

describe("GetKeyLastUsage", () => {
  it("says of a new key that it was not used since it was made", async () => {
    clock.advance(5 * SECOND);
    const arn = await newKey();
    await client.send(new DescribeKeyCommand({ KeyId: arn }));
    const date = new Date(NOW.getTime() + 5 * SECOND);
    expect(await usageOf(arn)).toEqual({
      KeyId: arn.slice(arn.indexOf("/") + 1),
      ...{ KeyLastUsage: {}, TrackingStartDate: date, KeyCreationDate: date },
    });
  });

  it("names the last cryptographic operation, and nothing that failed, looked or only tried", async () => {
    const KeyId = await newKey();
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId, Plaintext }));
    expect((await usageOf(KeyId)).KeyLastUsage).toEqual(recorded("Encrypt"));
    clock.advance(SECOND);
    await client.send(new DecryptCommand({ CiphertextBlob }));
    const decrypted = recorded("Decrypt");
    clock.advance(SECOND);
    const wrong = { CiphertextBlob, EncryptionContext: { tenant: "b" } };
    expect(await errorNameOf(client.send(new DecryptCommand(wrong)))).toBe("InvalidCiphertextException");
    const dryRun = client.send(new EncryptCommand({ KeyId, Plaintext, DryRun: true }));
    expect(await errorNameOf(dryRun)).toBe("DryRunOperationException");
    await client.send(new DescribeKeyCommand({ KeyId }));
    expect((await usageOf(KeyId)).KeyLastUsage).toEqual(decrypted);
  });

  it("counts each key's own uses, both of ReEncrypt", async () => {
    const [first, second, unused] = [await newKey(), await newKey(), await newKey()];
    const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: first, Plaintext }));
    expect((await usageOf(second)).KeyLastUsage).toEqual({});
    await client.send(new ReEncryptCommand({ CiphertextBlob, DestinationKeyId: second }));
    for (const key of [first, second]) expect((await usageOf(key)).KeyLastUsage).toEqual(recorded("ReEncrypt"));
    expect((await usageOf(unused)).KeyLastUsage).toEqual({});
  });

  it("counts MACs, whose verification is a use if it succeeds", async () => {
    const KeyId = await newKey({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" });
    const input = { KeyId, Message: Plaintext, MacAlgorithm: "HMAC_SHA_256" as const };
    const { Mac = Plaintext } = await client.send(new GenerateMacCommand(input));
    await errorNameOf(client.send(new VerifyMacCommand({ ...input, Mac: Mac.map((byte) => byte ^ 1) })));
    expect((await usageOf(KeyId)).KeyLastUsage?.Operation).toBe("GenerateMac");
    await client.send(new VerifyMacCommand({ ...input, Mac }));
    expect((await usageOf(KeyId)).KeyLastUsage?.Operation).toBe("VerifyMac");
  });

  it("gives the event of the key owner's account, and is for that account alone", async () => {
    const Statement = [kms.accountId, GUEST].map((AWS) => ({
      ...{ Effect: "Allow", Principal: { AWS }, Action: "kms:*", Resource: "*" },
    }));
    const KeyId = await newKey({ Policy: JSON.stringify({ Version: "2012-10-17", Statement }) });
    const user = { name: "guest", accountId: GUEST, policies: [ADMINISTRATOR_POLICY] };
    const guest = kmsClient(kms, clock, kms.principals.addUser(user));
    await guest.send(new EncryptCommand({ KeyId, Plaintext }));
    expect((await usageOf(KeyId)).KeyLastUsage).toEqual(recorded("Encrypt"));
    expect(recorded("Encrypt").CloudTrailEventId).not.toBe(recorded("Encrypt", GUEST).CloudTrailEventId);
    expect(await errorNameOf(usageOf(KeyId, guest))).toBe("AccessDeniedException");
    guest.destroy();
  });

  it("says after a restart since when uses are known", async () => {
    const KeyId = await newKey();
    await client.send(new EncryptCommand({ KeyId, Plaintext }));
    await stop();
    clock.advance(60 * SECOND);
    await start();
    expect(await usageOf(KeyId)).toMatchObject({
      KeyLastUsage: {},
      TrackingStartDate: new Date(NOW.getTime() + 60 * SECOND),
      KeyCreationDate: NOW,
    });
    await client.send(new EncryptCommand({ KeyId, Plaintext }));
    expect((await usageOf(KeyId)).KeyLastUsage).toEqual(recorded("Encrypt"));
  });

  it("forgets a replica's uses with it, which its primary's never were", async () => {
    const KeyId = await newKey({ MultiRegion: true });
    const replica = KeyId.replace("us-east-1", "eu-west-1");
    const replicate = () => client.send(new ReplicateKeyCommand({ KeyId, ReplicaRegion: "eu-west-1" }));
    const there = async <Result>(use: (ireland: KMSClient) => Promise<Result>): Promise<Result> => {
      const ireland = kmsClient({ ...kms, region: "eu-west-1" }, clock);
      return use(ireland).finally(() => ireland.destroy());
    };
    await replicate();
    await there((ireland) => ireland.send(new EncryptCommand({ KeyId: replica, Plaintext })));
    expect((await there((ireland) => usageOf(replica, ireland))).KeyLastUsage).toEqual(recorded("Encrypt"));
    expect((await usageOf(KeyId)).KeyLastUsage).toEqual({});
    const schedule = new ScheduleKeyDeletionCommand({ KeyId: replica, PendingWindowInDays: 7 });
    await there((ireland) => ireland.send(schedule));
    clock.advance(8 * DAY);
    client.destroy();
    client = kmsClient(kms, clock);
    await replicate();
    expect((await there((ireland) => usageOf(replica, ireland))).KeyLastUsage).toEqual({});
  });

  it("takes a key by its id or ARN alone, and asks for a permission", async () => {
    const KeyId = await newKey();
    await client.send(new CreateAliasCommand({ AliasName: "alias/a", TargetKeyId: KeyId }));
    expect(await errorOf(usageOf("alias/a"))).toEqual({
      name: "InvalidArnException",
      message: "Key Aliases are not supported for this operation.",
    });
    expect(await errorNameOf(usageOf("no-key"))).toBe("NotFoundException");
    const nobody = kmsClient(kms, clock, kms.principals.addUser({ name: "nobody" }));
    expect((await errorOf(usageOf(KeyId, nobody))).message).toContain("not authorized to perform: kms:GetKeyLastUsage");
    nobody.destroy();
  });
});
