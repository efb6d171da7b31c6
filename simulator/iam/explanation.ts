/**
 * A decision with everything that led to it, as data: for the debug header of the endpoint and for `kms explain`. The
 * verdict is that of `authorize`; the policies are those that it asks, each with every statement.
 */

import { authorize } from "./authorization.js";
import type { ApplicablePolicies, AuthorizationRequest } from "./authorization-request.js";
import { policiesOf, questionOf } from "./authorization-request.js";
import { denialText } from "./denial.js";
import type { IdentityPolicy, ResourcePolicy } from "./policy/compile.js";
import type { PolicyTrace } from "./policy/trace.js";
import { tracePolicy } from "./policy/trace.js";
import type { DecidingPolicy, Reason } from "./reason.js";

/** A policy that was asked. */
export interface AskedPolicy extends PolicyTrace {
  readonly kind: DecidingPolicy;
  /** Of an organisation's policy: the place of its level, from 0 for the root. A level without policies has one silent entry. */
  readonly level?: number;
}

export interface Explanation {
  readonly allowed: boolean;
  readonly reason: Reason;
  /** What AccessDenied says. */
  readonly message?: string;
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  /** Whether a grant allows it; left out for what has no grants. */
  readonly granted?: boolean;
  /** In the order in which their denies are reported. */
  readonly policies: readonly AskedPolicy[];
}

/** Decides and explains. */
export function explainAuthorization(request: AuthorizationRequest): Explanation {
  const { allowed, reason } = authorize(request);
  const question = questionOf(request);
  const { principal, action, resource } = request;
  return {
    allowed,
    reason,
    ...(reason !== "allowed" && { message: denialText(request, reason) }),
    principal: principal.arn,
    action,
    resource: resource.arn,
    ...(resource.grants !== undefined && { granted: resource.grants(question) }),
    policies: listed(policiesOf(request)).map(({ policy, ...where }) => ({
      ...where,
      ...(policy === undefined ? SILENCE : tracePolicy(policy, question)),
    })),
  };
}

interface ListedPolicy {
  readonly kind: DecidingPolicy;
  readonly level?: number;
  /** None where a level has none. */
  readonly policy?: IdentityPolicy | ResourcePolicy;
}

const SILENCE: PolicyTrace = { answer: "silent", statements: [] };

function listed(policies: ApplicablePolicies): readonly ListedPolicy[] {
  const { boundary, "endpoint-policy": endpoint, "key-policy": key, "session-policy": session } = policies;
  return [
    ...listedLevels("resource-control-policy", policies),
    ...listedLevels("service-control-policy", policies),
    ...(endpoint === undefined ? [] : [{ kind: "endpoint-policy", policy: endpoint } as const]),
    ...(key === undefined ? [] : [{ kind: "key-policy", policy: key } as const]),
    ...policies["identity-policy"].map((policy) => ({ kind: "identity-policy", policy }) as const),
    ...(boundary === undefined ? [] : [{ kind: "boundary", policy: boundary } as const]),
    ...(session ?? []).map((policy) => ({ kind: "session-policy", policy }) as const),
  ];
}

const listedLevels = (
  kind: "resource-control-policy" | "service-control-policy",
  policies: ApplicablePolicies,
): readonly ListedPolicy[] =>
  (policies[kind] ?? []).flatMap((policiesOfLevel, level) =>
    policiesOfLevel.length === 0 ? [{ kind, level }] : policiesOfLevel.map((policy) => ({ kind, level, policy })),
  );
