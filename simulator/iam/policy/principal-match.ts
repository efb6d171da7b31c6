/**
 * The Principal and NotPrincipal elements (IAM User Guide, "AWS JSON policy elements: Principal", "… NotPrincipal").
 * Principals are compared exactly; the only wildcard is `*` alone. How a statement names its caller decides what else
 * has a say, and so it is told apart: a user, a session, a service or everybody is named itself; a role's session is
 * named by its role; an account names nobody, but hands the decision on to its IAM policies.
 */
import { malformedPolicy } from "../../errors.js";
import type { Arn } from "../arn.js";
import { isPartition, parseArn } from "../arn.js";
import type { CallerIdentity } from "../caller-identity.js";
import type { PrincipalElement } from "./document.js";

/** How a statement names a caller, or that it does not. */
export type PrincipalMatch = "itself" | "role" | "account" | "none";

export type PrincipalTest = (caller: CallerIdentity) => PrincipalMatch;

const STRENGTH: Readonly<Record<PrincipalMatch, number>> = { none: 0, account: 1, role: 2, itself: 3 };

/** The stronger of two. */
export const strongerMatch = (a: PrincipalMatch, b: PrincipalMatch): PrincipalMatch =>
  STRENGTH[a] >= STRENGTH[b] ? a : b;

const invalidPrincipals = () => malformedPolicy("Policy contains a statement with one or more invalid principals.");

/** Compiles a Principal element. @throws AwsError MalformedPolicyDocumentException */
export function compilePrincipal(element: PrincipalElement): PrincipalTest {
  const tests = [
    ...(element.AWS ?? []).map(compileAws),
    ...(element.Service ?? []).map(compileService),
    ...[...(element.Federated ?? []), ...(element.CanonicalUser ?? [])].map(compileOther),
  ];
  if (tests.length === 0) throw invalidPrincipals();
  return (caller) => {
    let match: PrincipalMatch = "none";
    for (const test of tests) match = strongerMatch(match, test(caller));
    return match;
  };
}

/**
 * Compiles a NotPrincipal element: whom it does not except is named itself. To be excepted, all that a caller is must be
 * listed: its account, for a session its role, and itself. Nobody with a permissions boundary is ever excepted.
 * @throws AwsError MalformedPolicyDocumentException
 */
export function compileNotPrincipal(element: PrincipalElement): PrincipalTest {
  compilePrincipal(element); // for what it refuses
  const everybody = element.AWS?.includes("*") === true;
  const listed = new Set([...(element.AWS ?? []), ...(element.Service ?? [])]);
  return (caller) => {
    const excepted =
      caller.boundary === undefined && identities(caller).every((names) => names.some((name) => listed.has(name)));
    return everybody || excepted ? "none" : "itself";
  };
}

/** All that a caller is, each by every name that it has in a policy. */
function identities({ kind, arn, roleArn, accountId }: CallerIdentity): readonly (readonly string[])[] {
  if (kind === "service") return [[arn]];
  const account = [`arn:${partitionOfArn(arn)}:iam::${accountId}:root`, accountId];
  if (kind === "root") return [account];
  return [account, ...(roleArn === undefined ? [] : [[roleArn]]), [arn]];
}

const partitionOfArn = (arn: string): string => parseArn(arn)?.partition ?? "";

function compileAws(wanted: string): PrincipalTest {
  if (wanted === "*") return () => "itself";
  if (/^\d{12}$/.test(wanted)) return accountTest(wanted);
  const arn = parseArn(wanted);
  if (arn === undefined || !isPrincipalArn(arn)) throw invalidPrincipals();
  if (arn.resource === "root") return accountTest(arn.accountId, arn.partition);
  return (caller) => {
    if (wanted === caller.arn) return "itself";
    return wanted === caller.roleArn ? "role" : "none";
  };
}

/** Account ids are of one partition each; an ARN says of which. */
const accountTest =
  (accountId: string, partition?: string): PrincipalTest =>
  (caller) => {
    if (caller.kind === "service" || caller.accountId !== accountId) return "none";
    if (partition !== undefined && partition !== partitionOfArn(caller.arn)) return "none";
    return caller.kind === "root" ? "itself" : "account";
  };

function isPrincipalArn({ partition, service, region, accountId, resource }: Arn): boolean {
  if (!isPartition(partition) || region !== "" || !/^\d{12}$/.test(accountId)) return false;
  if (service === "iam") return /^(root|(user|role)\/[^*?]+)$/.test(resource);
  return service === "sts" && /^(assumed-role\/[^*?/]+\/[^*?/]+|federated-user\/[^*?]+)$/.test(resource);
}

function compileService(wanted: string): PrincipalTest {
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(wanted)) throw invalidPrincipals();
  return (caller) => (caller.kind === "service" && caller.arn === wanted ? "itself" : "none");
}

/** Federated identities call STS and not KMS, and canonical users are S3's: the grammar has them, no caller here is one. */
function compileOther(wanted: string): PrincipalTest {
  if (/[*?\s]/.test(wanted)) throw invalidPrincipals();
  return () => "none";
}
