/** What is asked of the policies, and which of them are about it. */
import type { EndpointPolicy, IdentityPolicy, PolicyQuestion, ResourcePolicy } from "./policy/compile.js";
import type { PolicyLevels, Principal } from "./principal.js";

/** What an action is about: a key with its policy, or a resource that only identity policies speak about. */
export interface Resource {
  readonly arn: string;
  readonly accountId: string;
  /** The policy of the resource; of a role that is to be assumed, its trust policy. */
  readonly keyPolicy?: ResourcePolicy;
  /** Set where a ciphertext names the key, and not the request: AccessDenied then says no more of it than that. */
  readonly namedByCiphertext?: boolean;
  /** Of the resource's account. Left out for an account outside an organisation and for its management account. */
  readonly resourceControlPolicies?: PolicyLevels;
  /** Whether a grant on the key allows what is asked. */
  readonly grants?: (question: PolicyQuestion) => boolean;
}

/** A question about one action, to be decided. */
export interface AuthorizationRequest extends Omit<PolicyQuestion, "resource" | "principal"> {
  readonly principal: Principal;
  readonly resource: Resource;
  /** Of the VPC endpoint that the request came through. */
  readonly endpointPolicy?: EndpointPolicy;
}

/** The question that every policy is asked. */
export const questionOf = ({ principal, action, resource, values }: AuthorizationRequest): PolicyQuestion => ({
  principal,
  action,
  resource: resource.arn,
  values,
});

/** The policies that are about a request, by kind; undefined where a kind has no say in it. */
export interface ApplicablePolicies {
  readonly "resource-control-policy": PolicyLevels | undefined;
  readonly "service-control-policy": PolicyLevels | undefined;
  readonly "endpoint-policy": EndpointPolicy | undefined;
  readonly "key-policy": ResourcePolicy | undefined;
  readonly "identity-policy": readonly IdentityPolicy[];
  readonly boundary: IdentityPolicy | undefined;
  readonly "session-policy": readonly IdentityPolicy[] | undefined;
}

/** Collects them. The organisation's policies do not bind service-linked roles, nor its service control policies services. */
export function policiesOf({ principal, action, resource, endpointPolicy }: AuthorizationRequest): ApplicablePolicies {
  const { policies, boundary, sessionPolicies = [], serviceControlPolicies } = principal;
  const controlled = !isServiceLinked(principal);
  return {
    "resource-control-policy": controlled && action !== RETIRE_GRANT ? resource.resourceControlPolicies : undefined,
    "service-control-policy": controlled && principal.kind !== "service" ? serviceControlPolicies : undefined,
    "endpoint-policy": endpointPolicy,
    "key-policy": resource.keyPolicy,
    "identity-policy": policies,
    boundary,
    "session-policy": sessionPolicies.length === 0 ? undefined : sessionPolicies,
  };
}

/** AWS Organizations User Guide, "Resources and entities not restricted by RCPs". */
const RETIRE_GRANT = "kms:RetireGrant";

const isServiceLinked = ({ roleArn }: Principal): boolean => roleArn?.includes(":role/aws-service-role/") === true;
