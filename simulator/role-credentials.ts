/** The short-lived credentials of a role, renewed in time: what EC2 keeps for an instance's profile. */
import type { Clock } from "./clock.js";
import type { Principals, SessionCredentials } from "./iam/principals.js";

export interface RoleCredentialsOptions {
  readonly principals: Principals;
  readonly roleArn: string;
  readonly sessionName: string;
  readonly lifetimeSeconds: number;
  readonly clock: Clock;
}

/** EC2 has new credentials at least five minutes before the old ones end. */
const RENEW_BEFORE_END_SECONDS = 300;

/** Returns a function that gives the present credentials: the same until shortly before their end, then new ones. */
export function createRoleCredentials(options: RoleCredentialsOptions): () => IssuedCredentials {
  const { principals, roleArn, sessionName, lifetimeSeconds, clock } = options;
  const renewBeforeEndMs = Math.min(RENEW_BEFORE_END_SECONDS, lifetimeSeconds / 2) * 1000;
  let current: IssuedCredentials | undefined;
  return () => {
    const now = clock();
    if (current === undefined || current.expiration.getTime() - now.getTime() <= renewBeforeEndMs) {
      const credentials = principals.issueSession({ roleArn, sessionName, durationSeconds: lifetimeSeconds });
      current = { ...credentials, issuedAt: now };
    }
    return current;
  };
}

/** Credentials, and when they were issued. */
export interface IssuedCredentials extends SessionCredentials {
  readonly issuedAt: Date;
}
