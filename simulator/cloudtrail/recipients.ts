/**
 * In whose logs a call is recorded (CloudTrail User Guide, "CloudTrail record contents", `recipientAccountId` and
 * `sharedEventID`): the caller's, and those of the other accounts whose resources it was about. Each account has a record of
 * its own, with an id of its own; `sharedEventID` says that they are of one call.
 */
import { randomUUID } from "node:crypto";
import type { AuditRecord, FinishedCall, Home } from "./records.js";
import { isDenied, recordOf } from "./records.js";
import { accountIdentity } from "./user-identity.js";

/** The records of a call, the caller's first. A service has no log of its own. */
export function recordsOf(call: FinishedCall, home: Home): readonly AuditRecord[] {
  const [own, ...others] = recipientsOf(call);
  const record = recordOf(call, { ...home, accountId: own ?? home.accountId });
  const { key } = call;
  if (key === undefined || others.length === 0) return [record];
  const shared = { ...record, sharedEventID: randomUUID() };
  const userIdentity = key.principal.kind === "service" ? record.userIdentity : accountIdentity(key);
  return [
    shared,
    ...others.map((accountId) => ({
      ...{ ...shared, userIdentity, eventID: randomUUID(), recipientAccountId: accountId },
    })),
  ];
}

/** Whether it is what another account than the caller's has of a call. */
export const isOwnersRecord = ({ userIdentity }: AuditRecord): boolean => userIdentity.type === "AWSAccount";

/** What is refused to callers of another account is in their own log alone. What no key is known of is nobody's. */
function recipientsOf({ key, trace, error }: FinishedCall): readonly string[] {
  if (key === undefined) return [];
  const { kind, accountId } = key.principal;
  const owners = isDenied(error) ? [] : trace.resources.map((resource) => resource.accountId).filter((id) => id !== "");
  return [...new Set(kind === "service" && owners.length > 0 ? owners : [accountId, ...owners])];
}
