/**
 * Who may call: the accounts' root, IAM users, assumed-role sessions and services, with the access keys that they sign
 * with and the policies that are about them. It stands in IAM's and STS's place; the signature check and the policy
 * evaluator read from it, STS and the credentials endpoint issue sessions in it.
 */
import type { Clock } from "../clock.js";
import type { World } from "../world/world.js";
import { emptyWorld } from "../world/world.js";
import type { IssuedKey, KeyContext, SessionContext, SessionCredentials } from "./access-keys.js";
import { AccessKeys } from "./access-keys.js";
import { parseArn, partitionOf } from "./arn.js";
import type { AccessKey, KnownAccessKey, MfaDevice, Role, Root, Service, User } from "./identity.js";
import type { IdentityPolicy } from "./policy/compile.js";
import { compileIdentityPolicy, compileTrustPolicy } from "./policy/compile.js";
import type { Principal } from "./principal.js";
import { Authenticator } from "./totp.js";
import { uniqueId } from "./unique-id.js";

export type { IssuedKey, SessionCredentials } from "./access-keys.js";
export type { AccessKey } from "./identity.js";

/** Gives its holder everything, as AWS's AdministratorAccess does. */
export const ADMINISTRATOR_POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
});

/** What programs say of a user or role: policies as texts, the account if it is not the simulated one. */
interface NewIdentity {
  readonly name: string;
  readonly path?: string;
  readonly accountId?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly policies?: readonly string[];
  readonly boundary?: string;
}

export interface NewUser extends NewIdentity {
  /** A known one; a new one if left out. */
  readonly accessKey?: AccessKey;
  readonly mfaDevices?: readonly MfaDevice[];
}

export interface NewRole extends NewIdentity {
  /** Who can assume it; nobody if left out. */
  readonly trustPolicy?: string;
  readonly maxSessionDuration?: number;
}

/** A role that is there, with its ARN and unique id. */
export interface KnownRole extends Role {
  readonly arn: string;
  readonly uniqueId: string;
}

/** A session of a role. */
export interface NewSession {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly durationSeconds: number;
  readonly sessionPolicies?: readonly IdentityPolicy[];
  readonly tags?: ReadonlyMap<string, string>;
  readonly transitiveTags?: ReadonlyMap<string, string>;
  readonly sourceIdentity?: string;
}

const DEFAULT_MAX_SESSION_SECONDS = 3600;

/** The principals of one simulated account, and those of the world around it. */
export class Principals {
  readonly accountId: string;
  readonly world: World;
  readonly #partition: string;
  readonly #keys: AccessKeys;
  readonly #roles = new Map<string, KnownRole>();
  readonly #authenticators = new Map<string, { readonly userArn: string; readonly authenticator: Authenticator }>();

  constructor(options: { accountId: string; region: string; clock: Clock; world?: World }) {
    this.accountId = options.accountId;
    this.#partition = partitionOf(options.region);
    this.#keys = new AccessKeys(options.clock);
    this.world = options.world ?? emptyWorld(options.region);
    const { roots, users, roles, services } = this.world.identities;
    for (const root of roots)
      for (const key of root.accessKeys) this.#keys.add(this.#rootOf(root), contextOf(key), key);
    for (const user of users) this.#register(user);
    for (const role of roles) this.#registerRole(role);
    for (const service of services) this.#registerService(service);
  }

  /** Adds an IAM user with a long-lived access key. No policy means no permission. */
  addUser({ accessKey, mfaDevices = [], ...user }: NewUser): AccessKey {
    const known: User = { ...this.#compiled(user), accessKeys: [], mfaDevices };
    return this.#keys.add(this.#register(known), { tags: known.tags }, accessKey);
  }

  /** Adds an access key of an account's root user. */
  addRoot(root: { accountId?: string; accessKey?: AccessKey } = {}): AccessKey {
    return this.#keys.add(this.#rootOf({ accountId: root.accountId ?? this.accountId }), {}, root.accessKey);
  }

  /** Adds a role, and returns its ARN. */
  addRole({ trustPolicy, maxSessionDuration, ...role }: NewRole): string {
    return this.#registerRole({
      ...this.#compiled(role),
      ...(trustPolicy === undefined ? {} : { trustPolicy: compileTrustPolicy(trustPolicy, { name: role.name }) }),
      ...(maxSessionDuration === undefined ? {} : { maxSessionDuration }),
    });
  }

  /** The role of that ARN. */
  roleOf(arn: string): (Required<Pick<KnownRole, "maxSessionDuration">> & KnownRole) | undefined {
    const role = this.#roles.get(arn);
    return role && { ...role, maxSessionDuration: role.maxSessionDuration ?? DEFAULT_MAX_SESSION_SECONDS };
  }

  /** Issues credentials of a role that end after `durationSeconds`; asks nobody whether that is allowed. */
  issueSession({ roleArn, sessionName, durationSeconds, ...session }: NewSession): SessionCredentials {
    const role = this.#roles.get(roleArn);
    if (role === undefined) throw new TypeError(`there is no role ${roleArn}`);
    const { tags, transitiveTags, sourceIdentity, sessionPolicies } = session;
    const principal: Principal = {
      kind: "session",
      arn: sessionArn(roleArn, sessionName),
      userId: `${role.uniqueId}:${sessionName}`,
      roleArn,
      ...this.#limitsOf(role),
      ...(sessionPolicies === undefined ? {} : { sessionPolicies }),
    };
    const context: SessionContext = {
      tags: overlaid(role.tags, transitiveTags, tags),
      ...(transitiveTags === undefined ? {} : { transitiveTags }),
      ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
    };
    return this.#keys.issue(principal, context, durationSeconds);
  }

  /** Issues short-lived credentials of the holder of a long-lived key, as sts:GetSessionToken does. */
  issueUserSession(
    { principal, tags }: IssuedKey,
    { durationSeconds, mfaAuthenticatedAt }: { durationSeconds: number; mfaAuthenticatedAt: Date | undefined },
  ): SessionCredentials {
    const context: SessionContext = {
      ...(tags === undefined ? {} : { tags }),
      ...(mfaAuthenticatedAt === undefined ? {} : { mfaAuthenticatedAt }),
    };
    return this.#keys.issue(principal, context, durationSeconds);
  }

  /** The user's authenticator of that serial number. */
  authenticatorOf(userArn: string, serialNumber: string): Authenticator | undefined {
    const device = this.#authenticators.get(serialNumber);
    return device?.userArn === userArn ? device.authenticator : undefined;
  }

  /** The access key of that id, expired ones included; undefined if it was never issued, or is inactive. */
  lookUp(accessKeyId: string): IssuedKey | undefined {
    return this.#keys.lookUp(accessKeyId);
  }

  #compiled({ name, path, accountId = this.accountId, tags = {}, policies = [], boundary }: NewIdentity) {
    return {
      name,
      accountId,
      tags: new Map(Object.entries(tags)),
      policies: policies.map((text) => compileIdentityPolicy(text)),
      ...(path === undefined ? {} : { path }),
      ...(boundary === undefined ? {} : { boundary: compileIdentityPolicy(boundary) }),
    };
  }

  #register(user: User): Principal {
    const principal: Principal = {
      kind: "user",
      arn: this.#arnOf("user", user),
      userId: uniqueId("AIDA"),
      ...this.#limitsOf(user),
    };
    for (const key of user.accessKeys) this.#keys.add(principal, { tags: user.tags, ...contextOf(key) }, key);
    for (const { serialNumber, base32StringSeed } of user.mfaDevices) {
      const serial = serialNumber ?? `arn:${this.#partition}:iam::${user.accountId}:mfa/${user.name}`;
      this.#authenticators.set(serial, { userArn: principal.arn, authenticator: new Authenticator(base32StringSeed) });
    }
    return principal;
  }

  #registerRole(role: Role): string {
    const arn = this.#arnOf("role", role);
    this.#roles.set(arn, { ...role, arn, uniqueId: uniqueId("AROA") });
    return arn;
  }

  /** A service belongs to no account; it counts to the one on whose behalf it works. */
  #registerService({ principal: arn, accessKeys, sourceAccount, sourceArn }: Service): void {
    const accountId = sourceAccount ?? this.accountId;
    const principal: Principal = { kind: "service", arn, accountId, userId: arn, policies: [] };
    const source = {
      ...(sourceAccount === undefined ? {} : { sourceAccount }),
      ...(sourceArn === undefined ? {} : { sourceArn }),
    };
    for (const key of accessKeys) this.#keys.add(principal, source, key);
  }

  #rootOf({ accountId }: Pick<Root, "accountId">): Principal {
    const arn = `arn:${this.#partition}:iam::${accountId}:root`;
    return { kind: "root", arn, userId: accountId, ...this.#limitsOf({ accountId, policies: [] }) };
  }

  #arnOf(kind: "user" | "role", { accountId, path = "/", name }: Pick<User, "accountId" | "path" | "name">): string {
    return `arn:${this.#partition}:iam::${accountId}:${kind}${path}${name}`;
  }

  /** What a principal may do, and what limits it. */
  #limitsOf({ accountId, policies, boundary }: Pick<User, "accountId" | "policies" | "boundary">) {
    const serviceControlPolicies = this.world.membershipOf(accountId)?.serviceControlPolicies;
    return {
      accountId,
      policies,
      ...(boundary === undefined ? {} : { boundary }),
      ...(serviceControlPolicies === undefined ? {} : { serviceControlPolicies }),
    };
  }
}

const contextOf = ({ calledVia }: KnownAccessKey): KeyContext => (calledVia.length === 0 ? {} : { calledVia });

/** Tags under later ones of the same key, which case does not tell apart (IAM User Guide, "Tags for IAM resources"). */
function overlaid(...layers: readonly (ReadonlyMap<string, string> | undefined)[]): ReadonlyMap<string, string> {
  const byKey = new Map<string, readonly [key: string, value: string]>();
  for (const layer of layers) for (const tag of layer ?? []) byKey.set(tag[0].toLowerCase(), tag);
  return new Map(byKey.values());
}

/** `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, without the role's path. */
export function sessionArn(roleArn: string, sessionName: string): string {
  const { partition = "", accountId = "", resource = "" } = parseArn(roleArn) ?? {};
  return `arn:${partition}:sts::${accountId}:assumed-role/${resource.slice(resource.lastIndexOf("/") + 1)}/${sessionName}`;
}
