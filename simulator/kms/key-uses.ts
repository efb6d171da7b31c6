/**
 * What each key was last used for (API_GetKeyLastUsage): the newest cryptographic operation that went well, by the record
 * that the key's own account has of it. In memory alone, one for each key at most: after a restart nothing is known of the
 * time before, which TrackingStartDate says. The audit log has it.
 */
import type { AuditRecord } from "../cloudtrail/records.js";

/** API_KeyLastUsageData. */
export interface KeyLastUsage {
  readonly Operation: string;
  readonly Timestamp: Date;
  readonly CloudTrailEventId: string;
  readonly KmsRequestId: string | undefined;
}

/** API_KeyLastUsageData, `Operation`. */
const TRACKED_OPERATIONS: ReadonlySet<string> = new Set([
  "Decapsulate",
  "Decrypt",
  "DeriveSharedSecret",
  "Encapsulate",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "ReEncrypt",
  "Sign",
  "Verify",
  "VerifyMac",
]);

export class KeyUses {
  readonly trackedSince: Date;
  readonly #byArn = new Map<string, KeyLastUsage>();

  constructor(trackedSince: Date) {
    this.trackedSince = trackedSince;
  }

  /** Of the key with that ARN; undefined if there was none since. */
  of(arn: string): KeyLastUsage | undefined {
    return this.#byArn.get(arn);
  }

  /** Notes the use of a key that `record` tells of, if it does. `isKey`: whether there is a key of that ARN. */
  note(record: AuditRecord, isKey: (arn: string) => boolean): void {
    if (record.errorCode !== undefined || !TRACKED_OPERATIONS.has(record.eventName)) return;
    const usage = {
      Operation: record.eventName,
      Timestamp: new Date(record.eventTime),
      CloudTrailEventId: record.eventID,
      KmsRequestId: record.requestID,
    };
    for (const { ARN, accountId } of record.resources) {
      if (accountId === record.recipientAccountId && isKey(ARN)) this.#byArn.set(ARN, usage);
    }
  }

  /** Of a key that has gone. */
  forget(arn: string): void {
    this.#byArn.delete(arn);
  }
}
