/** Those who can be a principal, as IAM knows them before anybody signs in. */
import type { IdentityPolicy, TrustPolicy } from "./policy/compile.js";

/** What a program signs with. */
export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** An access key whose secret is given and not made. */
export interface KnownAccessKey extends AccessKey {
  readonly active: boolean;
  /** Services that call with it on the principal's behalf, first to last. */
  readonly calledVia: readonly string[];
}

/** A time-based authenticator of a user. */
export interface MfaDevice {
  readonly serialNumber?: string;
  readonly base32StringSeed: string;
}

interface Identity {
  readonly name: string;
  readonly accountId: string;
  /** `/` if left out. */
  readonly path?: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly policies: readonly IdentityPolicy[];
  readonly boundary?: IdentityPolicy;
}

export interface Root {
  readonly accountId: string;
  readonly accessKeys: readonly KnownAccessKey[];
}

export interface User extends Identity {
  readonly accessKeys: readonly KnownAccessKey[];
  readonly mfaDevices: readonly MfaDevice[];
}

export interface Role extends Identity {
  /** Nobody can assume it if left out. */
  readonly trustPolicy?: TrustPolicy;
  /** In seconds; an hour if left out. */
  readonly maxSessionDuration?: number;
}

/** An AWS service that calls as itself. */
export interface Service {
  readonly principal: string;
  readonly accessKeys: readonly KnownAccessKey[];
  readonly sourceAccount?: string;
  readonly sourceArn?: string;
}

interface Identities {
  readonly roots: readonly Root[];
  readonly users: readonly User[];
  readonly roles: readonly Role[];
  readonly services: readonly Service[];
}

/** @throws TypeError if two have one name, or one access key */
export function assertDistinctKeys({ roots, users, roles, services }: Identities): void {
  assertNoneTwice(
    "access key",
    [...roots, ...users, ...services].flatMap((one) => one.accessKeys.map((key) => key.accessKeyId)),
  );
  // IAM User Guide, "IAM identifiers": names are unique in an account whatever the path, and not told apart by case.
  const named = ({ accountId, name }: Identity): string => `${accountId}/${name.toLowerCase()}`;
  assertNoneTwice("user", users.map(named));
  assertNoneTwice("role", roles.map(named));
  assertNoneTwice(
    "MFA device",
    users.flatMap((user) => user.mfaDevices.map((one) => one.serialNumber ?? named(user))),
  );
}

function assertNoneTwice(kind: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new TypeError(`the ${kind} ${name} stands there twice`);
    seen.add(name);
  }
}
