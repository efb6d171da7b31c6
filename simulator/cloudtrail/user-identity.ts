/** `userIdentity` of a record: who called, with which credentials, and through whom (CloudTrail User Guide, "CloudTrail userIdentity element"). */
import type { IssuedKey } from "../iam/principals.js";

export type UserIdentity = Readonly<Record<string, unknown>>;

/** As it stands in the caller's own log. Of a service nothing is known but its name. */
export function userIdentity(key: IssuedKey | undefined): UserIdentity {
  if (key === undefined) return { type: "Unknown" };
  const { kind, userId, arn, accountId } = key.principal;
  if (kind === "service") return { type: "AWSService", ...invokedBy(key) };
  const types = { root: "Root", user: "IAMUser", session: "AssumedRole" };
  return {
    ...{ type: types[kind], principalId: userId, arn, accountId, accessKeyId: key.accessKeyId },
    ...(kind === "user" ? { userName: nameIn(arn) } : {}),
    ...(key.issuedAt === undefined ? {} : { sessionContext: sessionContext(key, key.issuedAt) }),
    ...invokedBy(key),
  };
}

/** As it stands in the log of another account whose resource was used: the account, and an id that tells nobody's name. */
export const accountIdentity = ({ principal, ...key }: IssuedKey): UserIdentity => ({
  ...{ type: "AWSAccount", principalId: principal.userId, accountId: principal.accountId },
  ...invokedBy({ principal, ...key }),
});

/** The service that made the call, as itself or on the caller's behalf (forward access sessions). */
export const invokerOf = ({ principal, calledVia }: IssuedKey): string | undefined =>
  principal.kind === "service" ? principal.arn : calledVia?.at(-1);

function invokedBy(key: IssuedKey): UserIdentity {
  const invoker = invokerOf(key);
  return invoker === undefined ? {} : { invokedBy: invoker };
}

/** Of short-lived credentials; those that a user has of GetSessionToken have no issuer besides the user. */
function sessionContext({ principal, mfaAuthenticatedAt, sourceIdentity }: IssuedKey, issuedAt: Date): UserIdentity {
  const { roleArn, userId, accountId } = principal;
  const [principalId = ""] = userId.split(":");
  const issuer = roleArn && { type: "Role", principalId, arn: roleArn, accountId, userName: nameIn(roleArn) };
  return {
    ...(issuer === undefined ? {} : { sessionIssuer: issuer }),
    attributes: { creationDate: inSeconds(issuedAt), mfaAuthenticated: String(mfaAuthenticatedAt !== undefined) },
    ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
  };
}

const nameIn = (arn: string): string => arn.slice(arn.lastIndexOf("/") + 1);

/** ISO 8601 in seconds. */
export const inSeconds = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`;
