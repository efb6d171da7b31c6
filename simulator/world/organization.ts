/**
 * An organisation: its accounts' paths, and the policies that limit them from the root down (AWS Organizations User Guide,
 * "SCP evaluation", "RCP evaluation"). The management account has a path, and no policy limits it.
 */
import type { IdentityPolicy } from "../iam/policy/compile.js";
import { compileIdentityPolicy, compileResourceControlPolicy } from "../iam/policy/compile.js";
import type { PolicyLevels } from "../iam/principal.js";
import { compileAll } from "./policies.js";
import type { AccountFile, OrganizationalUnitFile, OrganizationFile } from "./schema.js";
import { WorldError } from "./world-error.js";

/** An account's place. */
export interface Membership {
  readonly organizationId: string;
  /** `aws:PrincipalOrgPaths`: `o-…/r-…/ou-…/`. */
  readonly path: string;
  /** Left out for the management account. */
  readonly serviceControlPolicies?: PolicyLevels;
  readonly resourceControlPolicies?: PolicyLevels;
}

const allow = (principal: object): string =>
  JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...principal, Action: "*", Resource: "*" }] });

const FULL_AWS_ACCESS = compileIdentityPolicy(allow({}), { name: "FullAWSAccess" });
const RCP_FULL_AWS_ACCESS = compileResourceControlPolicy(allow({ Principal: "*" }), { name: "RCPFullAWSAccess" });

interface Level {
  readonly serviceControlPolicies: readonly IdentityPolicy[];
  readonly resourceControlPolicies: readonly IdentityPolicy[];
}

/** A root or OU, its path, and the levels above and of it. */
interface Node {
  readonly place: string;
  readonly path: string;
  readonly levels: readonly Level[];
}

type Limited = Pick<OrganizationalUnitFile, "serviceControlPolicies" | "resourceControlPolicies">;
type NodeFile = Limited & Pick<OrganizationalUnitFile, "id" | "accounts" | "organizationalUnits">;

/** The places of all accounts, by account id. @throws WorldError */
export function readOrganization(
  file: OrganizationFile,
  accounts: readonly AccountFile[],
): ReadonlyMap<string, Membership> {
  const { id, managementAccount, root } = file;
  const members = new Map<string, Membership>();
  const join = (accountId: string, node: Node): void => {
    const index = accounts.findIndex((one) => one.id === accountId);
    const account = accounts[index];
    if (account === undefined)
      throw new WorldError(`${node.place}.accounts: expected an account of this file, got "${accountId}"`);
    if (members.has(accountId))
      throw new WorldError(`${node.place}.accounts: ${accountId} stands in the organisation twice`);
    const place = { organizationId: id, path: node.path };
    const levels = [...node.levels, levelOf(account, `accounts[${index}]`)];
    members.set(accountId, accountId === managementAccount ? place : { ...place, ...limitsOf(levels) });
  };
  walk(root, { place: "organization.root", path: `${id}/`, levels: [] }, join);
  if (!members.has(managementAccount)) {
    throw new WorldError(
      `organization.managementAccount: expected an account of the organisation, got "${managementAccount}"`,
    );
  }
  return members;
}

/** Calls `join` for every account under `file`. */
function walk(file: NodeFile, above: Node, join: (accountId: string, node: Node) => void): void {
  const { place } = above;
  const node = { place, path: `${above.path}${file.id}/`, levels: [...above.levels, levelOf(file, place)] };
  for (const accountId of file.accounts ?? []) join(accountId, node);
  for (const [i, unit] of (file.organizationalUnits ?? []).entries()) {
    walk(unit, { ...node, place: `${place}.organizationalUnits[${i}]` }, join);
  }
}

function levelOf({ serviceControlPolicies, resourceControlPolicies }: Limited, place: string): Level {
  const scps = compileAll(`${place}.serviceControlPolicies`, serviceControlPolicies, compileIdentityPolicy);
  const rcps = compileAll(`${place}.resourceControlPolicies`, resourceControlPolicies, compileResourceControlPolicy);
  return {
    serviceControlPolicies: serviceControlPolicies === undefined ? [FULL_AWS_ACCESS] : scps,
    resourceControlPolicies: [RCP_FULL_AWS_ACCESS, ...rcps],
  };
}

const limitsOf = (levels: readonly Level[]) => ({
  serviceControlPolicies: levels.map((level) => level.serviceControlPolicies),
  resourceControlPolicies: levels.map((level) => level.resourceControlPolicies),
});
