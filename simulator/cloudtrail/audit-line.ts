/** A line of the audit log as the record that it is. */
import type { AuditRecord } from "./records.js";

/** Undefined for what this simulator has not written: somebody edited the file, or a disk lost a part of it. */
export function parseAuditLine(line: string): AuditRecord | undefined {
  try {
    const record: unknown = JSON.parse(line);
    return isRecord(record) ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether it has what readers of records rest on. */
function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== "object" || value === null) return false;
  const { userIdentity, resources, ...members } = value as Readonly<Record<string, unknown>>;
  return (
    STRINGS.every((name) => typeof members[name] === "string") &&
    !Number.isNaN(Date.parse(String(members.eventTime))) &&
    typeof userIdentity === "object" &&
    userIdentity !== null &&
    Array.isArray(resources) &&
    resources.every((one: { readonly ARN?: unknown } | null) => typeof one?.ARN === "string")
  );
}

const STRINGS = ["eventID", "eventTime", "eventName", "eventSource", "awsRegion", "recipientAccountId"];
