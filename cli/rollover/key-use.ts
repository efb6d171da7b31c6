/**
 * Who still uses an old key, from CloudTrail records (KMS Developer Guide, "Logging AWS KMS API calls"): calls of operations
 * that need the key's material, by operation, principal and tenant. Calls that manage the key need none of it.
 */
import { isOwnersRecord } from "../../simulator/cloudtrail/recipients.js";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import { principalOf } from "../kms/audit-table.js";
import { isSameKey } from "./keys.js";

/** Operations that make something new under the key, or need it for what exists. */
const MAKING = [
  ...["Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair"],
  "GenerateDataKeyPairWithoutPlaintext",
];
const USING = [
  ...[...MAKING, "Decrypt", "ReEncrypt", "Sign", "Verify"],
  ...["GenerateMac", "VerifyMac", "DeriveSharedSecret"],
];

export interface KeyUse {
  readonly key: string;
  readonly operation: string;
  readonly principal: string;
  /** The value of the tenant's pair in the encryption context; undefined where there is none. */
  readonly tenant: string | undefined;
  readonly calls: number;
  /** Of those: that failed, but for want of a permission. A key that is disabled shows so what still depends on it. */
  readonly failed: number;
  /** ISO 8601, of the last call. */
  readonly last: string;
}

export interface KeyUseQuery {
  readonly keys: readonly string[];
  /** Calls before then do not count. */
  readonly since: Date | undefined;
  readonly tenantPair: string;
}

export interface KeyUseReport {
  /** The most calls first. */
  readonly uses: readonly KeyUse[];
  /** Times of the oldest and of the newest record of all, ISO 8601; undefined if there is none. */
  readonly begins: string | undefined;
  readonly ends: string | undefined;
}

/** Calls that were denied are left out: whoever has no permission does not depend on the key. */
export function keyUseIn(records: readonly AuditRecord[], query: KeyUseQuery): KeyUseReport {
  const uses = new Map<string, KeyUse>();
  const times = records.map(({ eventTime }) => eventTime);
  for (const record of records) {
    const use = useOf(record, query);
    if (use === undefined) continue;
    const id = JSON.stringify([use.key, use.operation, use.principal, use.tenant ?? null]);
    uses.set(id, sum(uses.get(id), use));
  }
  return {
    uses: [...uses.values()].sort((a, b) => b.calls - a.calls || (a.last < b.last ? 1 : -1)),
    begins: times.reduce<string | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined),
    ends: times.reduce<string | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined),
  };
}

function useOf(record: AuditRecord, { keys, since, tenantPair }: KeyUseQuery): KeyUse | undefined {
  const { eventName, eventTime, errorCode = "" } = record;
  if (!USING.includes(eventName) || isOwnersRecord(record) || errorCode.startsWith("AccessDenied")) return undefined;
  if (since !== undefined && Date.parse(eventTime) < since.getTime()) return undefined;
  const key = keys.find((name) => namesIn(record).some((named) => isSameKey(name, named)));
  if (key === undefined) return undefined;
  return {
    key,
    operation: eventName,
    principal: principalOf(record),
    tenant: tenantOf(record, tenantPair),
    calls: 1,
    failed: errorCode === "" ? 0 : 1,
    last: eventTime,
  };
}

const namesIn = ({ resources, requestParameters }: AuditRecord): readonly string[] => [
  ...resources.map(({ ARN }) => ARN),
  ...["keyId", "sourceKeyId", "destinationKeyId"].flatMap((name) => {
    const value = requestParameters?.[name];
    return typeof value === "string" ? [value] : [];
  }),
];

function tenantOf({ requestParameters }: AuditRecord, pair: string): string | undefined {
  const context = requestParameters?.encryptionContext ?? requestParameters?.sourceEncryptionContext;
  if (typeof context !== "object" || context === null || !Object.hasOwn(context, pair)) return undefined;
  return String((context as Readonly<Record<string, unknown>>)[pair]);
}

const sum = (before: KeyUse | undefined, use: KeyUse): KeyUse => ({
  ...use,
  calls: (before?.calls ?? 0) + use.calls,
  failed: (before?.failed ?? 0) + use.failed,
  last: before !== undefined && before.last > use.last ? before.last : use.last,
});

/** Whether the operation makes new data under the key. */
export const makesNew = ({ operation }: KeyUse): boolean => MAKING.includes(operation);
