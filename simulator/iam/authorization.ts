/**
 * Who may do what: every policy that is about a request, put together as AWS does (IAM User Guide, "How AWS enforcement
 * code logic evaluates requests to allow or deny access"; KMS Developer Guide, "Troubleshooting key access").
 *
 * An explicit deny anywhere wins. The organisation's and the endpoint's policies must allow, each by itself. And the key
 * policy must let the caller in, even within its account, or a grant must:
 *
 * - In the key's account, to be named itself is enough. Who is named by its role is bound by its permissions boundary and
 *   session policies. Where the account is named, its identity policies decide, within the same two limits.
 * - In another account, identity policies must allow besides, within these limits.
 * - A grant needs no identity policy, in any account (ibid., "Key trust": a grant or an IAM policy). A session may have it
 *   by its role, and so keeps to these limits.
 */
import { accessDenied } from "../errors.js";
import type { AuthorizationRequest } from "./authorization-request.js";
import { policiesOf, questionOf } from "./authorization-request.js";
import { isEffectiveAcrossAccounts } from "./cross-account.js";
import { denialText } from "./denial.js";
import type { IdentityPolicy, PolicyAnswer, PolicyQuestion, ResourcePolicyAnswer } from "./policy/compile.js";
import type { PolicyLevels } from "./principal.js";
import type { DecidingPolicy, Reason } from "./reason.js";
import { DECIDING_POLICIES } from "./reason.js";

export type { AuthorizationRequest, Resource } from "./authorization-request.js";
export type { Reason } from "./reason.js";

export interface Decision {
  readonly allowed: boolean;
  readonly reason: Reason;
}

/** Decides. */
export function authorize(request: AuthorizationRequest): Decision {
  const reason = decide(request);
  return { allowed: reason === "allowed", reason };
}

/** @throws AwsError AccessDeniedException in AWS's words. */
export function assertAuthorized(request: AuthorizationRequest): void {
  const { reason } = authorize(request);
  if (reason !== "allowed") throw accessDenied(denialText(request, reason));
}

/** How each kind of policy answers; undefined where it has no say. */
type Answers = Readonly<Record<DecidingPolicy, ResourcePolicyAnswer | undefined>>;

function decide(request: AuthorizationRequest): Reason {
  const question = questionOf(request);
  const answers = ask(request, question);
  for (const policy of DECIDING_POLICIES) if (answers[policy] === "deny") return `denied-by-${policy}`;
  if (answers["service-control-policy"] === "silent") return "not-allowed-by-service-control-policy";
  if (answers["endpoint-policy"] === "silent") return "not-allowed-by-endpoint-policy";
  const reason = permit(request, answers, false);
  return reason !== "allowed" && request.resource.grants?.(question) === true ? permit(request, answers, true) : reason;
}

function ask(request: AuthorizationRequest, question: PolicyQuestion): Answers {
  const policies = policiesOf(request);
  return {
    "resource-control-policy": askLevels(policies["resource-control-policy"], question),
    "service-control-policy": askLevels(policies["service-control-policy"], question),
    "endpoint-policy": policies["endpoint-policy"]?.evaluate(question),
    "key-policy": policies["key-policy"]?.evaluate(question),
    "identity-policy": askAll(policies["identity-policy"], question),
    boundary: policies.boundary?.evaluate(question),
    "session-policy": policies["session-policy"] && askAll(policies["session-policy"], question),
  };
}

/** Whether the policies that grant permissions do, once none denies, without a grant or with one. */
function permit({ principal, resource, action }: AuthorizationRequest, answers: Answers, granted: boolean): Reason {
  const atHome = principal.accountId === resource.accountId;
  const key = atHome || isEffectiveAcrossAccounts(action) ? answers["key-policy"] : "silent";
  const named = key !== undefined && key !== "silent";
  if (!granted && !named && (resource.keyPolicy !== undefined || !atHome)) return "not-allowed-by-key-policy";
  if (isEnough(principal.kind, { atHome, granted, key })) return "allowed";
  const byIdentity = granted || (atHome && key === "role") || principal.kind === "root";
  if (!byIdentity && answers["identity-policy"] !== "allow") return "not-allowed-by-identity-policy";
  if (answers.boundary === "silent") return "not-allowed-by-boundary";
  if (answers["session-policy"] === "silent") return "not-allowed-by-session-policy";
  return "allowed";
}

interface Naming {
  readonly atHome: boolean;
  readonly granted: boolean;
  readonly key: ResourcePolicyAnswer | undefined;
}

/** Whether the key's side is enough without a look at the caller's own policies. A service has none. */
function isEnough(kind: AuthorizationRequest["principal"]["kind"], { atHome, granted, key }: Naming): boolean {
  if (granted && kind !== "session") return true;
  return key === "allow" && (atHome || kind === "service");
}

function askAll(policies: readonly IdentityPolicy[], question: PolicyQuestion): PolicyAnswer {
  let answer: PolicyAnswer = "silent";
  for (const policy of policies) {
    const one = policy.evaluate(question);
    if (one === "deny") return "deny";
    if (one === "allow") answer = "allow";
  }
  return answer;
}

/** Every level must allow; a deny on any wins. */
function askLevels(levels: PolicyLevels | undefined, question: PolicyQuestion): PolicyAnswer | undefined {
  if (levels === undefined) return undefined;
  const answers = levels.map((level) => askAll(level, question));
  if (answers.includes("deny")) return "deny";
  return answers.includes("silent") ? "silent" : "allow";
}
