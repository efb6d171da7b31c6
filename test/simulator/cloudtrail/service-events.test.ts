/** What KMS does to keys by itself, as CloudTrail records it: when it was due, and before the call that came upon it. */
import { randomBytes } from "node:crypto";
import type { CreateKeyCommandInput, KeyMetadata, KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  EnableKeyRotationCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  ListKeysCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import { expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { callControl } from "../../support/simulated-control.js";
import { kmsClient } from "../../support/simulated-kms.js";
import { wrapMaterial } from "../../support/wrapped-material.js";
import { clockAt, DAY } from "../fixtures.js";

async function importUntil(client: KMSClient, KeyId: string, ValidTo: Date): Promise<string | undefined> {
  const wrapping = { WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048" } as const;
  const { ImportToken, PublicKey = new Uint8Array() } = await client.send(
    new GetParametersForImportCommand({ KeyId, ...wrapping }),
  );
  const EncryptedKeyMaterial = wrapMaterial(wrapping.WrappingAlgorithm, PublicKey, randomBytes(32));
  const command = new ImportKeyMaterialCommand({ KeyId, ImportToken, EncryptedKeyMaterial, ValidTo });
  return (await client.send(command)).KeyMaterialId;
}

it("rotation, expiry and deletion are recorded with their dates, and cost nothing", async () => {
  const clock = clockAt();
  await using kms = await startKms({
    trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)),
    ...{ clock, protocol: "http" },
  });
  const client = kmsClient(kms, clock);
  const newKey = async (options: CreateKeyCommandInput): Promise<Partial<KeyMetadata>> =>
    (await client.send(new CreateKeyCommand(options))).KeyMetadata ?? {};
  const [rotated, imported, deleted] = [await newKey({}), await newKey({ Origin: "EXTERNAL" }), await newKey({})];
  const after = (days: number) => new Date(clock().getTime() + days * DAY);
  const keyMaterialId = await importUntil(client, imported.KeyId ?? "", after(91));
  await client.send(new EnableKeyRotationCommand({ KeyId: rotated.KeyId, RotationPeriodInDays: 90 }));
  await client.send(new ScheduleKeyDeletionCommand({ KeyId: deleted.KeyId, PendingWindowInDays: 7 }));
  const cost = await callControl(kms, clock, kms.operator, "GetCost");
  client.destroy();
  clock.advance(100 * DAY);
  const later = kmsClient(kms, clock);
  await later.send(new ListKeysCommand({}));
  later.destroy();
  const record = (eventName: string, eventTime: string, ARN: string | undefined, serviceEventDetails?: object) => ({
    eventVersion: "1.11",
    userIdentity: { accountId: kms.accountId, invokedBy: "AWS Internal" },
    ...{ eventTime, eventSource: "kms.amazonaws.com", eventName, awsRegion: "us-east-1" },
    ...{ sourceIPAddress: "AWS Internal", userAgent: "AWS Internal" },
    ...{ requestParameters: null, responseElements: null, eventID: expect.any(String), readOnly: false },
    resources: [{ accountId: kms.accountId, type: "AWS::KMS::Key", ARN }],
    ...{ eventType: "AwsServiceEvent", managementEvent: true, recipientAccountId: kms.accountId },
    eventCategory: "Management",
    ...(serviceEventDetails && { serviceEventDetails }),
  });
  const { KeyId: keyId } = rotated;
  expect(kms.auditLog.records.slice(-4, -1)).toEqual([
    record("DeleteKey", "2026-11-30T10:00:00Z", deleted.Arn),
    record("RotateKey", "2027-02-21T10:00:00Z", rotated.Arn, { rotationType: "AUTOMATIC", keyId }),
    record("DeleteExpiredKeyMaterial", "2027-02-22T10:00:00Z", imported.Arn, { keyId: imported.KeyId, keyMaterialId }),
  ]);
  const { calls } = await callControl(kms, clock, kms.operator, "GetCost");
  expect(calls).toBe(Number(cost.calls) + 1);
});
