/** The users, roles and services of a world.json as `Principals` takes them, their policies compiled. */

import type { KnownAccessKey, Role, Root, Service, User } from "../iam/identity.js";
import type { IdentityPolicy } from "../iam/policy/compile.js";
import { compileIdentityPolicy, compileTrustPolicy } from "../iam/policy/compile.js";
import type { ManagedPolicies } from "./policies.js";
import { compileAll, textOf } from "./policies.js";
import type { AccessKeyFile, AccountFile, RoleFile, UserFile, WorldFile } from "./schema.js";
import { at } from "./world-error.js";

/** All who can be a principal. */
export interface Identities {
  readonly roots: readonly Root[];
  readonly users: readonly User[];
  readonly roles: readonly Role[];
  readonly services: readonly Service[];
}

/** @throws WorldError */
export function readIdentities({ accounts, services = [] }: WorldFile, managed: ManagedPolicies): Identities {
  return {
    roots: accounts.map(({ id, rootAccessKeys = [] }) => ({ accountId: id, accessKeys: rootAccessKeys.map(keyOf) })),
    users: accounts.flatMap((account, i) => usersOf(account, `accounts[${i}]`, managed)),
    roles: accounts.flatMap((account, i) => rolesOf(account, `accounts[${i}]`, managed)),
    services: services.map(({ accessKeys, ...service }) => ({
      ...withoutAbsent(service),
      accessKeys: accessKeys.map(keyOf),
    })),
  };
}

const usersOf = ({ id, users = [] }: AccountFile, place: string, managed: ManagedPolicies): readonly User[] =>
  users.map((user, i) => ({
    ...identityOf(user, `${place}.users[${i}]`, managed),
    accountId: id,
    accessKeys: (user.accessKeys ?? []).map(keyOf),
    mfaDevices: (user.mfaDevices ?? []).map(withoutAbsent),
  }));

const rolesOf = ({ id, roles = [] }: AccountFile, account: string, managed: ManagedPolicies): readonly Role[] =>
  roles.map((role, i) => {
    const place = `${account}.roles[${i}]`;
    const { name, trustPolicy, maxSessionDuration } = role;
    return {
      ...identityOf(role, place, managed),
      accountId: id,
      trustPolicy: at(`${place}.trustPolicy`, () => compileTrustPolicy(textOf(trustPolicy), { name })),
      ...(maxSessionDuration === undefined ? {} : { maxSessionDuration }),
    };
  });

function identityOf(file: UserFile | RoleFile, place: string, managed: ManagedPolicies) {
  const { name, path, tags = {}, permissionsBoundary } = file;
  return {
    name,
    tags: new Map(Object.entries(tags)),
    policies: policiesOf(file, place, managed),
    ...(path === undefined ? {} : { path }),
    ...(permissionsBoundary === undefined
      ? {}
      : { boundary: managed.at(`${place}.permissionsBoundary`, permissionsBoundary) }),
  };
}

const policiesOf = (
  { policies, managedPolicyArns = [] }: UserFile | RoleFile,
  place: string,
  managed: ManagedPolicies,
): readonly IdentityPolicy[] => [
  ...compileAll(`${place}.policies`, policies, compileIdentityPolicy),
  ...managedPolicyArns.map((arn, i) => managed.at(`${place}.managedPolicyArns[${i}]`, arn)),
];

const keyOf = ({ status, calledVia, ...key }: AccessKeyFile): KnownAccessKey => ({
  ...key,
  active: status !== "Inactive",
  calledVia: calledVia ?? [],
});

/** Members that are there and undefined, as the parser leaves them, are not there. */
function withoutAbsent<T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const present = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]: Exclude<T[K], undefined> };
}
