/**
 * Who may call: the accounts' root, IAM users and assumed-role sessions, with the access keys that they sign with and
 * the identity policies that IAM gives them. It stands in IAM's and STS's place; the signature check and the policy
 * evaluator read from it, the credentials endpoint issues sessions in it.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.js";
import { partitionOf } from "./arn.js";
import type { IdentityPolicy } from "./policy/compile.js";
import { compileIdentityPolicy } from "./policy/compile.js";
import type { Principal } from "./principal.js";

/** What a program signs with. */
export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Short-lived credentials of a role, as STS and the instance metadata service hand them out. */
export interface SessionCredentials extends AccessKey {
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** An access key as the server knows it. */
export interface IssuedKey extends AccessKey {
  readonly principal: Principal;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

interface Role {
  readonly arn: string;
  readonly uniqueId: string;
  readonly policies: readonly IdentityPolicy[];
}

/** Gives its holder everything, as AWS's AdministratorAccess does. */
export const ADMINISTRATOR_POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
});

const ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** How long past its end a session is remembered, so that its use answers "expired" and not "unknown". */
const EXPIRED_MEMORY_MS = 3_600_000;

/** A unique id in IAM's form: four letters for its kind and sixteen of base32. */
const uniqueId = (prefix: string): string =>
  prefix + [...randomBytes(16)].map((byte) => ID_ALPHABET[byte % 32]).join("");

/** The principals of one simulated account, and those that were added from others. */
export class Principals {
  readonly accountId: string;
  readonly #partition: string;
  readonly #clock: Clock;
  readonly #keys = new Map<string, IssuedKey>();
  readonly #roles = new Map<string, Role>();

  constructor(options: { accountId: string; region: string; clock: Clock }) {
    this.accountId = options.accountId;
    this.#partition = partitionOf(options.region);
    this.#clock = options.clock;
  }

  /** Adds an IAM user with a long-lived access key; `accessKey` sets a known one. No policy means no permission. */
  addUser(user: { name: string; policies?: readonly string[]; accountId?: string; accessKey?: AccessKey }): AccessKey {
    const accountId = user.accountId ?? this.accountId;
    return this.#issue(user.accessKey, {
      kind: "user",
      arn: `arn:${this.#partition}:iam::${accountId}:user/${user.name}`,
      accountId,
      userId: uniqueId("AIDA"),
      policies: (user.policies ?? []).map((text) => compileIdentityPolicy(text)),
    });
  }

  /** Adds an access key of an account's root user. */
  addRoot(root: { accountId?: string; accessKey?: AccessKey } = {}): AccessKey {
    const accountId = root.accountId ?? this.accountId;
    const arn = `arn:${this.#partition}:iam::${accountId}:root`;
    return this.#issue(root.accessKey, { kind: "root", arn, accountId, userId: accountId, policies: [] });
  }

  /** Adds a role, and returns its ARN. */
  addRole(role: { name: string; policies?: readonly string[]; accountId?: string }): string {
    const arn = `arn:${this.#partition}:iam::${role.accountId ?? this.accountId}:role/${role.name}`;
    this.#roles.set(arn, {
      arn,
      uniqueId: uniqueId("AROA"),
      policies: (role.policies ?? []).map((text) => compileIdentityPolicy(text)),
    });
    return arn;
  }

  /** Issues credentials of a role that end after `durationSeconds`, as sts:AssumeRole does. */
  issueSession(session: { roleArn: string; sessionName: string; durationSeconds: number }): SessionCredentials {
    const role = this.#roles.get(session.roleArn);
    if (role === undefined) throw new TypeError(`there is no role ${session.roleArn}`);
    this.#forgetExpired();
    const [, partition = "", , , accountId = "", resource = ""] = role.arn.split(":");
    const roleName = resource.slice(resource.lastIndexOf("/") + 1);
    const sessionToken = randomBytes(192).toString("base64");
    const expiration = new Date(this.#clock().getTime() + session.durationSeconds * 1000);
    const principal: Principal = {
      kind: "session",
      arn: `arn:${partition}:sts::${accountId}:assumed-role/${roleName}/${session.sessionName}`,
      accountId,
      userId: `${role.uniqueId}:${session.sessionName}`,
      roleArn: role.arn,
      policies: role.policies,
    };
    return { ...this.#issue(undefined, principal, { sessionToken, expiration }), sessionToken, expiration };
  }

  /** The access key of that id, expired ones included; undefined if it was never issued. */
  lookUp(accessKeyId: string): IssuedKey | undefined {
    return this.#keys.get(accessKeyId);
  }

  #issue(
    wanted: AccessKey | undefined,
    principal: Principal,
    session?: { sessionToken: string; expiration: Date },
  ): AccessKey {
    const accessKeyId = wanted?.accessKeyId ?? uniqueId(session === undefined ? "AKIA" : "ASIA");
    const secretAccessKey = wanted?.secretAccessKey ?? randomBytes(30).toString("base64");
    if (this.#keys.has(accessKeyId)) throw new TypeError(`the access key ${accessKeyId} exists already`);
    this.#keys.set(accessKeyId, { accessKeyId, secretAccessKey, principal, ...session });
    return { accessKeyId, secretAccessKey };
  }

  #forgetExpired(): void {
    const oldest = this.#clock().getTime() - EXPIRED_MEMORY_MS;
    for (const [id, key] of this.#keys) {
      if (key.expiration !== undefined && key.expiration.getTime() < oldest) this.#keys.delete(id);
    }
  }
}
