/** The access keys that programs sign with, long-lived and short-lived, bounded in number. */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.js";
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

export interface AccessKeysOptions {
  /** How many sessions are remembered. */
  readonly maxSessions?: number;
}

export class AccessKeys {
  readonly #clock: Clock;
  readonly #longLived = new Map<string, IssuedKey>();
  readonly #inactive = new Set<string>();
  readonly #sessions = new Map<string, IssuedKey & { readonly expiration: Date }>();
  /** The ids of each holder's sessions, oldest first. */
  readonly #held = new Map<string, Set<string>>();
  readonly #maxSessions: number;
  #sweptAt = 0;

  constructor(clock: Clock, { maxSessions = MAX_SESSIONS }: AccessKeysOptions = {}) {
    this.#clock = clock;
    this.#maxSessions = maxSessions;
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

  /**
   * Issues a session that ends after `durationSeconds`. If there are too many, the oldest of whoever has most of them ends:
   * no user or role takes others their room.
   */
  issue(principal: Principal, context: SessionContext, durationSeconds: number): SessionCredentials {
    const issuedAt = this.#clock();
    this.#forgetExpired(issuedAt.getTime());
    if (this.#sessions.size >= this.#maxSessions) this.#forgetOldestOfMost();
    const credentials = {
      accessKeyId: uniqueId("ASIA"),
      secretAccessKey: newSecret(),
      sessionToken: randomBytes(192).toString("base64"),
      expiration: new Date(issuedAt.getTime() + durationSeconds * 1000),
    };
    this.#sessions.set(credentials.accessKeyId, { ...credentials, principal, issuedAt, ...context });
    const held = this.#held.get(holderOf(principal)) ?? new Set();
    this.#held.set(holderOf(principal), held.add(credentials.accessKeyId));
    return credentials;
  }

  #forgetExpired(now: number): void {
    if (Math.abs(now - this.#sweptAt) < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [id, { expiration }] of this.#sessions) {
      if (expiration.getTime() < now - EXPIRED_MEMORY_MS) this.#forget(id);
    }
  }

  #forgetOldestOfMost(): void {
    const [oldest] = [...this.#held.values()].reduce((most, held) => (held.size > most.size ? held : most));
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(id: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    const held = this.#held.get(holderOf(session.principal));
    held?.delete(id);
    if (held?.size === 0) this.#held.delete(holderOf(session.principal));
  }
}

/** The user, or the role of all its sessions, whoever named them. */
const holderOf = ({ roleArn, arn }: Principal): string => roleArn ?? arn;

const newSecret = (): string => randomBytes(30).toString("base64");
