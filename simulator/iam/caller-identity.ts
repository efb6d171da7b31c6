/** Who calls, as policies, condition keys and audit records name them; nothing of what they may do. */
export interface CallerIdentity {
  readonly kind: "root" | "user" | "session" | "service";
  /** Of a service, its principal's name: `logs.us-east-1.amazonaws.com`. */
  readonly arn: string;
  readonly accountId: string;
  /** `aws:userid`: the unique id, for a session followed by `:` and its name. */
  readonly userId: string;
  /** The role's ARN when `kind` is "session": what `aws:PrincipalArn` and a role in a policy are compared with. */
  readonly roleArn?: string;
  /** Set if a permissions boundary is attached: NotPrincipal never excepts such a caller. */
  readonly boundary?: object;
}
