/**
 * The request context: what a request says of itself and of its caller, whatever the operation (IAM User Guide, "AWS global
 * condition context keys"). A key that does not fit a request is left out, for policies ask for that.
 *
 * - `aws:SourceIp` is there unless a VPC endpoint or a service is between; then `aws:SourceVpce`, `aws:SourceVpc` and
 *   `aws:VpcSourceIp`, or `aws:CalledVia` and `kms:ViaService` are.
 * - `aws:MultiFactorAuthPresent` and `aws:TokenIssueTime` are there for short-lived credentials alone; true for those that
 *   a code was given for. A role's session never is: AssumeRole takes the code, and its credentials do not tell.
 */
import type { AwsRequest } from "../endpoint/service.js";
import type { VpcEndpoint } from "../world/vpc-endpoints.js";
import { endpointOf } from "../world/vpc-endpoints.js";
import type { World } from "../world/world.js";
import type { IssuedKey } from "./access-keys.js";
import type { Resource } from "./authorization.js";
import type { EndpointPolicy } from "./policy/compile.js";
import { foldedKey } from "./policy/values.js";

/** Values by condition key; the keys in any case. */
export type Conditions = Iterable<readonly [key: string, values: readonly string[]]>;

type Condition = readonly [key: string, values: readonly string[]];

/** The request, when it arrived, and what was signed. */
export interface Authenticated {
  readonly key: IssuedKey;
  readonly region: string;
  /** Of the credential scope. */
  readonly service: string;
  readonly now: Date;
}

export interface RequestContext {
  readonly conditions: Conditions;
  /** Of the VPC endpoint that the request came through. */
  readonly endpointPolicy: EndpointPolicy | undefined;
}

/** The context of a request whose signature was verified. */
export function requestContext(request: AwsRequest, authenticated: Authenticated, world: World): RequestContext {
  const { key, region, service, now } = authenticated;
  const endpoint = endpointOfRequest(request, { region, service }, world);
  const conditions = [
    ...callerConditions(key, world),
    ...tokenConditions(key, now),
    ...forwardingConditions(key, region),
    ...networkConditions(request, key, endpoint),
    ...messageConditions(request, region, now),
  ];
  return { conditions, endpointPolicy: endpoint?.policy };
}

/** The VPC endpoint that a request came through. */
export function endpointOfRequest(
  request: AwsRequest,
  { region, service }: Pick<Authenticated, "region" | "service">,
  world: World,
): VpcEndpoint | undefined {
  const host = headerOf(request, "host") ?? "";
  return endpointOf({ sourceIp: request.sourceIp, host, region, service }, world.vpcEndpoints);
}

/** What is said of a resource by its account. */
export function resourceConditions({ accountId }: Pick<Resource, "accountId">, world: World): Conditions {
  const membership = world.membershipOf(accountId);
  return [
    ["aws:ResourceAccount", [accountId]],
    ...optional("aws:ResourceOrgID", membership?.organizationId),
    ...optional("aws:ResourceOrgPaths", membership?.path),
  ];
}

/** The resource with the organisation's policies about it. */
export function controlled(resource: Resource, world: World): Resource {
  const policies = world.membershipOf(resource.accountId)?.resourceControlPolicies;
  return policies === undefined ? resource : { resourceControlPolicies: policies, ...resource };
}

/** Sources put together, as the evaluator reads them: by folded key, the values of one key joined. */
export function conditionValues(...sources: readonly Conditions[]): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  for (const source of sources) {
    for (const [key, more] of source) {
      const folded = foldedKey(key);
      const present = values.get(folded);
      if (present === undefined) values.set(folded, [...more]);
      else for (const value of more) present.push(value);
    }
  }
  return values;
}

const optional = (key: string, value: string | undefined): readonly Condition[] =>
  value === undefined ? [] : [[key, [value]]];

function callerConditions(key: IssuedKey, world: World): readonly Condition[] {
  const { principal } = key;
  if (principal.kind === "service") return serviceConditions(key, world);
  const { accountId, arn, roleArn, userId, kind } = principal;
  const membership = world.membershipOf(accountId);
  const types = { root: "Account", user: "User", session: "AssumedRole" };
  return [
    ["aws:PrincipalArn", [roleArn ?? arn]],
    ["aws:PrincipalAccount", [accountId]],
    ["aws:PrincipalType", [types[kind]]],
    ["aws:PrincipalIsAWSService", ["false"]],
    ...optional("aws:PrincipalOrgID", membership?.organizationId),
    ...optional("aws:PrincipalOrgPaths", membership?.path),
    ...[...(key.tags ?? [])].map(([tag, value]): Condition => [`aws:PrincipalTag/${tag}`, [value]]),
    ["aws:userid", [userId]],
    ...optional("aws:username", kind === "user" ? arn.slice(arn.lastIndexOf("/") + 1) : undefined),
    ["kms:CallerAccount", [accountId]],
  ];
}

/** A service that calls as itself has no ARN and no account; it says on whose resource it works. */
function serviceConditions({ principal, sourceAccount, sourceArn }: IssuedKey, world: World): readonly Condition[] {
  const membership = sourceAccount === undefined ? undefined : world.membershipOf(sourceAccount);
  return [
    ["aws:PrincipalType", ["Service"]],
    ["aws:PrincipalIsAWSService", ["true"]],
    ["aws:PrincipalServiceName", [principal.arn]],
    ["aws:PrincipalServiceNamesList", [principal.arn]],
    ...optional("aws:SourceAccount", sourceAccount),
    ...optional("aws:SourceArn", sourceArn),
    ...optional("aws:SourceOrgID", membership?.organizationId),
    ...optional("aws:SourceOrgPaths", membership?.path),
  ];
}

function tokenConditions(key: IssuedKey, now: Date): readonly Condition[] {
  const { issuedAt, mfaAuthenticatedAt: mfa, sourceIdentity } = key;
  const present = issuedAt === undefined && mfa === undefined ? undefined : String(mfa !== undefined);
  return [
    ...optional("aws:TokenIssueTime", issuedAt?.toISOString()),
    ...optional("aws:MultiFactorAuthPresent", present),
    ...optional("aws:MultiFactorAuthAge", mfa && String(Math.floor((now.getTime() - mfa.getTime()) / 1000))),
    ...optional("aws:SourceIdentity", sourceIdentity),
  ];
}

/** Forward access sessions (IAM User Guide, "Forward access sessions"): services that call on the caller's behalf. */
function forwardingConditions({ principal, calledVia = [] }: IssuedKey, region: string): readonly Condition[] {
  const [first] = calledVia;
  const last = calledVia.at(-1);
  if (first === undefined || last === undefined) {
    return principal.kind === "service" ? [] : [["aws:ViaAWSService", ["false"]]];
  }
  return [
    ["aws:ViaAWSService", ["true"]],
    ["aws:CalledVia", calledVia],
    ["aws:CalledViaFirst", [first]],
    ["aws:CalledViaLast", [last]],
    // KMS Developer Guide, "kms:ViaService": the service's endpoint name, with the Region.
    ["kms:ViaService", [last.replace(/^([a-z0-9-]+)\.amazonaws\.com/, `$1.${region}.amazonaws.com`)]],
  ];
}

function networkConditions(
  { sourceIp }: AwsRequest,
  { calledVia, principal }: IssuedKey,
  endpoint: VpcEndpoint | undefined,
): readonly Condition[] {
  if (calledVia !== undefined || principal.kind === "service") return []; // whatever address the service has
  if (endpoint === undefined) return [["aws:SourceIp", [sourceIp]]];
  return [
    ["aws:SourceVpce", [endpoint.id]],
    ["aws:SourceVpc", [endpoint.vpcId]],
    ["aws:VpcSourceIp", [sourceIp]],
  ];
}

function messageConditions(request: AwsRequest, region: string, now: Date): readonly Condition[] {
  return [
    ["aws:UserAgent", [request.userAgent]],
    ...optional("aws:Referer", headerOf(request, "referer")),
    ["aws:SecureTransport", [String(request.secure)]],
    ["aws:RequestedRegion", [region]],
    ["aws:CurrentTime", [now.toISOString()]],
    ["aws:EpochTime", [String(Math.floor(now.getTime() / 1000))]],
  ];
}

function headerOf({ rawHeaders }: AwsRequest, wanted: string): string | undefined {
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === wanted);
  return at < 0 ? undefined : rawHeaders[at + 1];
}
