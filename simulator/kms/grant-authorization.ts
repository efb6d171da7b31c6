/** Grants where calls are authorised: which of them allow what a caller asks. */
import { parseArn } from "../iam/arn.js";
import type { CallerIdentity } from "../iam/caller-identity.js";
import type { IdentityPolicy, PolicyQuestion } from "../iam/policy/compile.js";
import type { Principal } from "../iam/principal.js";
import type { Grant } from "./grant.js";
import { namesOf } from "./grant.js";
import type { GrantStore } from "./grants.js";

export interface GrantedCaller {
  readonly principal: Principal;
  readonly grants: GrantStore;
  readonly now: Date;
}

/**
 * Whether a grant that `accepts` holds for allows what is asked. One that names the caller does by itself; one that names
 * the caller's account hands on to the account's IAM policies, as a key policy does.
 */
export function allowedByGrants(
  { principal, grants, now }: GrantedCaller,
  tokens: ReadonlySet<string>,
  accepts: (grant: Grant) => boolean = () => true,
): (question: PolicyQuestion) => boolean {
  return (question) => {
    const grantedTo = (name: string): boolean => some(grants.allowing(name, question, { now, tokens }), accepts);
    return (
      namesOf(principal).some(grantedTo) || (grantedTo(accountOf(principal)) && identityAllows(principal, question))
    );
  };
}

/** The same, asked once: a call that is explained later is explained with the grants that there were. */
export function answeredOnce(grants: (question: PolicyQuestion) => boolean): (question: PolicyQuestion) => boolean {
  let answer: boolean | undefined;
  return (question) => {
    answer ??= grants(question);
    return answer;
  };
}

/** Whether the caller's own policies allow, each kind of them; the root user needs none. Their denies are looked at elsewhere. */
export function identityAllows(principal: Principal, question: PolicyQuestion): boolean {
  const { kind, policies, boundary, sessionPolicies = [] } = principal;
  const allow = (some: readonly IdentityPolicy[]): boolean =>
    some.some((policy) => policy.evaluate(question) === "allow");
  const withinLimits =
    (boundary === undefined || allow([boundary])) && (sessionPolicies.length === 0 || allow(sessionPolicies));
  return kind === "root" || (allow(policies) && withinLimits);
}

/** How grants and policies name the caller's whole account. */
export const accountOf = ({ arn, accountId }: CallerIdentity): string => rootArn(parseArn(arn)?.partition, accountId);

export const rootArn = (partition = "aws", accountId: string): string => `arn:${partition}:iam::${accountId}:root`;

function some<Item>(items: Iterable<Item>, test: (item: Item) => boolean): boolean {
  for (const item of items) if (test(item)) return true;
  return false;
}
