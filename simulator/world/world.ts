/**
 * What is around the keys: the organisation, the ways in, and all who may call; read from world.json. Everything in it is
 * checked and every policy compiled when it is read, so that a world that was read cannot fail later.
 */
import { partitionOf } from "../iam/arn.js";
import { assertDistinctKeys } from "../iam/identity.js";
import type { Identities } from "./identities.js";
import { readIdentities } from "./identities.js";
import type { Membership } from "./organization.js";
import { readOrganization } from "./organization.js";
import { ManagedPolicies } from "./policies.js";
import type { WorldFile } from "./schema.js";
import { worldFile } from "./schema.js";
import type { VpcEndpoint } from "./vpc-endpoints.js";
import { assertDistinct, readVpcEndpoint } from "./vpc-endpoints.js";
import { at, WorldError, worldErrorOf } from "./world-error.js";

export interface World {
  /** The organisation's hold on an account; undefined if it is in none. */
  membershipOf(accountId: string): Membership | undefined;
  readonly vpcEndpoints: readonly VpcEndpoint[];
  readonly managedPolicies: ManagedPolicies;
  readonly identities: Identities;
}

/** Reads the content of a world.json. `region` says which partition its ARNs are of. @throws WorldError */
export function readWorld(json: unknown, { region }: { readonly region: string }): World {
  const parsed = worldFile.safeParse(json, { reportInput: true });
  if (!parsed.success) throw worldErrorOf(parsed.error);
  return compileWorld(parsed.data, partitionOf(region));
}

/** The administrator user that a KMS has in its own account. */
export const OPERATOR_NAME = "operator";

/** @throws WorldError if the world has a user who would be the operator of a KMS in that account */
export function assertNoOperator({ identities }: World, accountId: string): void {
  if (!identities.users.some((user) => user.accountId === accountId && user.name === OPERATOR_NAME)) return;
  throw new WorldError(`accounts: the user ${OPERATOR_NAME} of ${accountId} is the KMS's own; expected another name`);
}

/** Nothing but what programs add. */
export const emptyWorld = (region: string): World => compileWorld({ accounts: [] }, partitionOf(region));

function compileWorld(file: WorldFile, partition: string): World {
  const { accounts, organization, vpcEndpoints = [] } = file;
  const ids = accounts.map(({ id }) => id);
  for (const [i, id] of ids.entries()) {
    if (ids.indexOf(id) !== i) throw new WorldError(`accounts[${i}].id: ${id} stands in the file twice`);
  }
  const members = organization === undefined ? new Map() : readOrganization(organization, accounts);
  const endpoints = vpcEndpoints.map((endpoint, i) => readVpcEndpoint(endpoint, `vpcEndpoints[${i}]`));
  assertDistinct(endpoints);
  const managedPolicies = new ManagedPolicies(partition, accounts);
  const identities = readIdentities(file, managedPolicies);
  at("accounts", () => assertDistinctKeys(identities));
  return { membershipOf: (id) => members.get(id), vpcEndpoints: endpoints, managedPolicies, identities };
}
