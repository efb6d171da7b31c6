/** The access keys that programs sign with, long-lived and short-lived, bounded in number. */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.js";
import { AwsError } from "../errors.js";
import type { AccessKey } from "./identity.js";
import type { Principal } from "./principal.js";
import { uniqueId } from "./unique-id.js";

/** What is known of whoever signs with a key, beyond the principal and its policies. */
export interface KeyContext {
  /** `aws:PrincipalTag`: those of the user or role, and over them those of the session. */
  readonly tags?: ReadonlyMap<string, string>;
  /** Services that call with it on the principal's behalf, first to last. */
  readonly calledVia?: readonly string[];
  /** `aws:SourceAccount` and `aws:SourceArn`, of a service. */
  readonly sourceAccount?: string;
  readonly sourceArn?: string;
}

/** What a session has besides. */
export interface SessionContext extends KeyContext {
  /** `aws:TokenIssueTime`. */
  readonly issuedAt?: Date;
  /** When an MFA code was given for this very session. */
  readonly mfaAuthenticatedAt?: Date;
  /** Passed on when a role is assumed from here. */
  readonly transitiveTags?: ReadonlyMap<string, string>;
  readonly sourceIdentity?: string;
}

/** An access key as the server knows it. */
export interface IssuedKey extends AccessKey, SessionContext {
  readonly principal: Principal;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Short-lived credentials, as STS and the instance metadata service hand them out. */
export interface SessionCredentials extends AccessKey {
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** How long past its end a session is remembered, so that its use answers "expired" and not "unknown". */
const EXPIRED_MEMORY_MS = 3_600_000;
/** Between two looks for sessions to forget. */
const SWEEP_MS = 60_000;
const MAX_SESSIONS = 100_000;

export class AccessKeys {
  readonly #clock: Clock;
  readonly #longLived = new Map<string, IssuedKey>();
  readonly #inactive = new Set<string>();
  readonly #sessions = new Map<string, IssuedKey & { readonly expiration: Date }>();
  #sweptAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The key of that id, expired ones included; undefined if there never was one, or it is inactive. */
  lookUp(accessKeyId: string): IssuedKey | undefined {
    return this.#inactive.has(accessKeyId)
      ? undefined
      : (this.#longLived.get(accessKeyId) ?? this.#sessions.get(accessKeyId));
  }

  /** Adds a long-lived key: `wanted`, or a new one. @throws TypeError if there is one of its id */
  add(principal: Principal, context: KeyContext, wanted?: AccessKey & { readonly active?: boolean }): AccessKey {
    const accessKeyId = wanted?.accessKeyId ?? uniqueId("AKIA");
    const secretAccessKey = wanted?.secretAccessKey ?? newSecret();
    if (this.#longLived.has(accessKeyId)) throw new TypeError(`the access key ${accessKeyId} exists already`);
    this.#longLived.set(accessKeyId, { accessKeyId, secretAccessKey, principal, ...context });
    if (wanted?.active === false) this.#inactive.add(accessKeyId);
    return { accessKeyId, secretAccessKey };
  }

  /** Issues a session that ends after `durationSeconds`. @throws AwsError ThrottlingException if there are too many */
  issue(principal: Principal, context: SessionContext, durationSeconds: number): SessionCredentials {
    const issuedAt = this.#clock();
    this.#forgetExpired(issuedAt.getTime());
    if (this.#sessions.size >= MAX_SESSIONS) throw new AwsError("ThrottlingException", "Rate exceeded");
    const credentials = {
      accessKeyId: uniqueId("ASIA"),
      secretAccessKey: newSecret(),
      sessionToken: randomBytes(192).toString("base64"),
      expiration: new Date(issuedAt.getTime() + durationSeconds * 1000),
    };
    this.#sessions.set(credentials.accessKeyId, { ...credentials, principal, issuedAt, ...context });
    return credentials;
  }

  #forgetExpired(now: number): void {
    if (Math.abs(now - this.#sweptAt) < SWEEP_MS && this.#sessions.size < MAX_SESSIONS) return;
    this.#sweptAt = now;
    for (const [id, { expiration }] of this.#sessions) {
      if (expiration.getTime() < now - EXPIRED_MEMORY_MS) this.#sessions.delete(id);
    }
  }
}

const newSecret = (): string => randomBytes(30).toString("base64");
