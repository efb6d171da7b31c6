/** A case of the policy table: policies and a request, how AWS's documentation says that it ends, and where it says so. */
import { authorize } from "../../../../simulator/iam/authorization.js";
import type { AuthorizationRequest } from "../../../../simulator/iam/authorization-request.js";
import type { CallerIdentity } from "../../../../simulator/iam/caller-identity.js";
import {
  compileEndpointPolicy,
  compileIdentityPolicy,
  compileKeyPolicy,
  compileResourceControlPolicy,
} from "../../../../simulator/iam/policy/compile.js";
import type { Reason } from "../../../../simulator/iam/reason.js";

/** A page of AWS's documentation, with the section after its title. */
export interface Source {
  readonly title: string;
  readonly url: string;
}

/** Who asks; the boundary is a member of the case. */
type Caller = Omit<CallerIdentity, "boundary">;

export type Statements = object | readonly object[];

export interface PolicyCase {
  readonly name: string;
  readonly source: Source;
  /** The user Alice, unless said otherwise. */
  readonly caller?: Caller;
  /** The default key policy, unless said otherwise; `null` for what has none. */
  readonly keyPolicy?: Statements | null;
  readonly identityPolicies?: readonly Statements[];
  readonly boundary?: Statements;
  readonly sessionPolicies?: readonly Statements[];
  /** Levels of policies, from the root down. */
  readonly serviceControlPolicies?: readonly (readonly Statements[])[];
  readonly resourceControlPolicies?: readonly (readonly Statements[])[];
  readonly endpointPolicy?: Statements;
  readonly granted?: boolean;
  /** `kms:Decrypt`, unless said otherwise. */
  readonly action?: string;
  readonly resource?: string;
  readonly values?: Readonly<Record<string, string | readonly string[]>>;
  /** The version of every policy: the one with variables, unless said otherwise. */
  readonly version?: string;
  readonly ends: Reason;
}

export const ACCOUNT = "111122223333";
export const OTHER_ACCOUNT = "444455556666";
export const KEY = `arn:aws:kms:us-west-2:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
export const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
export const OTHER_ROOT = `arn:aws:iam::${OTHER_ACCOUNT}:root`;

export const ALICE: Caller = {
  kind: "user",
  arn: `arn:aws:iam::${ACCOUNT}:user/alice`,
  accountId: ACCOUNT,
  userId: "AIDAALICE",
};
export const SESSION = {
  kind: "session",
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/examplerole/session`,
  roleArn: `arn:aws:iam::${ACCOUNT}:role/examplerole`,
  accountId: ACCOUNT,
  userId: "AROAROLE:session",
} as const satisfies Caller;
export const ROOT_USER: Caller = { kind: "root", arn: ROOT, accountId: ACCOUNT, userId: ACCOUNT };
export const BOB: Caller = {
  kind: "user",
  arn: `arn:aws:iam::${OTHER_ACCOUNT}:user/bob`,
  accountId: OTHER_ACCOUNT,
  userId: "AIDABOB",
};
export const SERVICE: Caller = {
  kind: "service",
  arn: "logs.us-west-2.amazonaws.com",
  accountId: "",
  userId: "logs.us-west-2.amazonaws.com",
};
export const SERVICE_LINKED = {
  ...SESSION,
  arn: `arn:aws:sts::${ACCOUNT}:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling`,
  roleArn: `arn:aws:iam::${ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
} as const satisfies Caller;

/** Statements about everything of KMS; `more` adds elements and replaces them. */
export const allow = (more: object = {}) => ({ Effect: "Allow", Action: "kms:*", Resource: "*", ...more });
export const deny = (more: object = {}) => ({ ...allow(more), Effect: "Deny" });
/** What lets IAM policies of the key's account decide. */
export const DELEGATION = allow({ Sid: "Enable IAM User Permissions", Principal: { AWS: ROOT } });
export const FULL_ACCESS = { Effect: "Allow", Action: "*", Resource: "*" };
export const RCP_FULL_ACCESS = { ...FULL_ACCESS, Principal: "*" };

/** The case as a request. */
export function requestOf(one: PolicyCase): AuthorizationRequest {
  const text = (Statement: Statements) => JSON.stringify({ Version: one.version ?? "2012-10-17", Statement });
  const identity = (statements: Statements) => compileIdentityPolicy(text(statements));
  const control = (statements: Statements) => compileResourceControlPolicy(text(statements));
  const { granted, keyPolicy = DELEGATION, endpointPolicy } = one;
  const { boundary, sessionPolicies, serviceControlPolicies: service, resourceControlPolicies: resource } = one;
  return {
    principal: {
      ...(one.caller ?? ALICE),
      policies: (one.identityPolicies ?? []).map(identity),
      ...(boundary && { boundary: identity(boundary) }),
      ...(sessionPolicies && { sessionPolicies: sessionPolicies.map(identity) }),
      ...(service && { serviceControlPolicies: service.map((level) => level.map(identity)) }),
    },
    resource: {
      arn: one.resource ?? KEY,
      accountId: ACCOUNT,
      ...(keyPolicy !== null && { keyPolicy: compileKeyPolicy(text(keyPolicy)) }),
      ...(resource && { resourceControlPolicies: resource.map((level) => level.map(control)) }),
      ...(granted !== undefined && { grants: () => granted }),
    },
    ...(endpointPolicy && { endpointPolicy: compileEndpointPolicy(text(endpointPolicy)) }),
    action: one.action ?? "kms:Decrypt",
    values: new Map(Object.entries(one.values ?? {}).map(([key, value]) => [key.toLowerCase(), [value].flat()])),
  };
}

export const outcomeOf = (one: PolicyCase): Reason => authorize(requestOf(one)).reason;

/** A condition on the statement that lets the caller in: whether it holds decides. */
export const conditionCase = (
  source: Source,
  name: string,
  [Condition, values, holds]: readonly [condition: object, values: NonNullable<PolicyCase["values"]>, holds: boolean],
): PolicyCase => ({
  name,
  source,
  keyPolicy: allow({ Principal: { AWS: ALICE.arn }, Condition }),
  values,
  ends: holds ? "allowed" : "not-allowed-by-key-policy",
});
