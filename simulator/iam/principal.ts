/** A caller with every policy that is about it (IAM User Guide, "Policy evaluation logic"). */
import type { CallerIdentity } from "./caller-identity.js";
import type { IdentityPolicy } from "./policy/compile.js";

/** The policies of one kind from the organisation's root down to the account; every level has to allow. */
export type PolicyLevels = readonly (readonly IdentityPolicy[])[];

export interface Principal extends CallerIdentity {
  /** Attached to the user or role. */
  readonly policies: readonly IdentityPolicy[];
  /** The most that `policies` can give. */
  readonly boundary?: IdentityPolicy;
  /** Passed to AssumeRole: the most that the session can have. Left out and empty both mean that none was passed. */
  readonly sessionPolicies?: readonly IdentityPolicy[];
  /** Of the caller's account. Left out for an account outside an organisation and for its management account. */
  readonly serviceControlPolicies?: PolicyLevels;
}
