/**
 * Records of what KMS does to keys by itself, when their time has come (CloudTrail User Guide, "AWS service events"; KMS
 * Developer Guide, "AWS CloudTrail log entries": DeleteKey, DeleteExpiredKeyMaterial, RotateKey).
 */
import { randomUUID } from "node:crypto";
import { parseArn } from "../iam/arn.js";
import type { AuditRecord } from "./records.js";
import { inSeconds } from "./user-identity.js";

/** What happened to a key. */
export interface ServiceEvent {
  readonly eventName: string;
  /** When it was due, which may be before somebody looked. */
  readonly date: Date;
  readonly arn: string;
  readonly accountId: string;
  readonly serviceEventDetails?: Readonly<Record<string, string>>;
}

const NOBODY = "AWS Internal";

export const serviceEventRecord = ({ eventName, date, arn, accountId, ...details }: ServiceEvent): AuditRecord => ({
  eventVersion: "1.11",
  userIdentity: { accountId, invokedBy: NOBODY },
  eventTime: inSeconds(date),
  eventSource: "kms.amazonaws.com",
  eventName,
  awsRegion: parseArn(arn)?.region ?? "",
  sourceIPAddress: NOBODY,
  userAgent: NOBODY,
  requestParameters: null,
  responseElements: null,
  eventID: randomUUID(),
  readOnly: false,
  resources: [{ accountId, type: "AWS::KMS::Key", ARN: arn }],
  eventType: "AwsServiceEvent",
  managementEvent: true,
  recipientAccountId: accountId,
  ...details,
  eventCategory: "Management",
});
