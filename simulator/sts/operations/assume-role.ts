/**
 * AssumeRole (API_AssumeRole): credentials of a role, for whom the role trusts and whose own account lets. Both are asked
 * as for any other action: the role is the resource, its trust policy the resource's policy. Tags and a source identity are
 * permissions of their own.
 */
import { z } from "zod";
import type { AwsError } from "../../errors.js";
import { parseArn } from "../../iam/arn.js";
import type { AuthorizationRequest } from "../../iam/authorization.js";
import { authorize } from "../../iam/authorization.js";
import { denialText } from "../../iam/denial.js";
import type { KnownRole } from "../../iam/principals.js";
import { sessionArn } from "../../iam/principals.js";
import type { Conditions } from "../../iam/request-context.js";
import { conditionValues, controlled, requestContext, resourceConditions } from "../../iam/request-context.js";
import { parseInput, patterned } from "../../kms/schema.js";
import { credentialsOf } from "../credentials.js";
import { accessDenied, validationError } from "../errors.js";
import { authenticateWithMfa } from "../mfa.js";
import type { StsCall, StsOperation } from "../operation.js";
import { integer, listOf, serialNumber, tokenCode } from "../operation.js";
import { packedSize, sessionPolicies } from "../session-policies.js";
import type { SessionTags } from "../session-tags.js";
import { sessionTags, tags, transitiveTagKeys } from "../session-tags.js";

const name = (max: number) => patterned("[\\w+=,.@-]*", 2, max);
const arn = z.string().min(20).max(2048);

const schema = z.object({
  RoleArn: arn,
  RoleSessionName: name(64),
  PolicyArns: listOf(z.object({ arn }), 10).optional(),
  Policy: patterned("[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", 1, 2048).optional(),
  DurationSeconds: integer(900, 43_200).optional(),
  Tags: tags.optional(),
  TransitiveTagKeys: transitiveTagKeys.optional(),
  ExternalId: patterned("[\\w+=,.@:\\/-]*", 2, 1224).optional(),
  SerialNumber: serialNumber.optional(),
  TokenCode: tokenCode.optional(),
  SourceIdentity: name(256).optional(),
});
type Input = z.infer<typeof schema>;

const DEFAULT_SECONDS = 3600;
/** IAM User Guide, "Role chaining". */
const MAX_CHAINED_SECONDS = 3600;

export const assumeRole: StsOperation = {
  name: "AssumeRole",
  run: (call) => {
    const input = parseInput(schema, call.members);
    const { TokenCode: _, ...recorded } = input;
    call.trace.parameters = recorded;
    const { key, principals } = call;
    const roleTags = sessionTags(input, key.transitiveTags);
    const policies = sessionPolicies(input, principals);
    const PackedPolicySize = packedSize(policies, roleTags.requested);
    const role = findTrusting(input, roleTags, call);
    const durationSeconds = durationOf(input, role, call);
    const sourceIdentity = input.SourceIdentity ?? key.sourceIdentity;
    const { RoleArn: roleArn, RoleSessionName: sessionName } = input;
    const credentials = principals.issueSession({
      ...{ roleArn, sessionName, durationSeconds },
      ...{ sessionPolicies: policies, tags: roleTags.requested, transitiveTags: roleTags.transitive },
      ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
    });
    const answer = {
      Credentials: credentialsOf(credentials),
      AssumedRoleUser: {
        AssumedRoleId: `${role.uniqueId}:${sessionName}`,
        Arn: sessionArn(roleArn, sessionName),
      },
      PackedPolicySize,
      SourceIdentity: sourceIdentity,
    };
    call.trace.shownAnswer = answer;
    return answer;
  },
};

type FoundRole = KnownRole & { readonly maxSessionDuration: number };

/** The role, if the caller may assume it as the input says. @throws AwsError AccessDenied, ValidationError */
function findTrusting(input: Input, roleTags: SessionTags, call: StsCall): FoundRole {
  const { key, principals } = call;
  const { RoleArn } = input;
  const parsed = parseArn(RoleArn);
  if (parsed?.service !== "iam" || !parsed.resource.startsWith("role/")) throw validationError(`${RoleArn} is invalid`);
  call.trace.resources = [{ arn: RoleArn, accountId: parsed.accountId }];
  if (key.principal.kind === "root") throw accessDenied("Roles may not be assumed by root accounts.");
  const mfa = authenticateWithMfa(input, call);
  const role = principals.roleOf(RoleArn);
  const actions = actionsOf(input, call);
  if (role?.trustPolicy === undefined) throw noSuchRole(call, RoleArn);
  const { world } = principals;
  const signedBy = mfa === undefined ? key : { ...key, mfaAuthenticatedAt: mfa };
  const context = requestContext(call.request, { ...call, key: signedBy, service: "sts" }, world);
  const resource = controlled({ arn: RoleArn, accountId: role.accountId, keyPolicy: role.trustPolicy }, world);
  const values = conditionValues(
    ...[context.conditions, resourceConditions(role, world), roleConditions(role)],
    inputConditions({ ...input, SourceIdentity: input.SourceIdentity ?? key.sourceIdentity }, roleTags),
  );
  const { endpointPolicy } = context;
  const about = {
    principal: key.principal,
    resource,
    values,
    ...(endpointPolicy === undefined ? {} : { endpointPolicy }),
  };
  for (const action of actions) assertTrusted({ ...about, action }, call);
  return role;
}

function actionsOf({ Tags = [], SourceIdentity }: Input, { key }: StsCall): readonly string[] {
  if (SourceIdentity !== undefined && key.sourceIdentity !== undefined && SourceIdentity !== key.sourceIdentity) {
    throw validationError("The source identity of a session cannot be changed.");
  }
  return [
    "sts:AssumeRole",
    ...(Tags.length === 0 ? [] : ["sts:TagSession"]),
    ...((SourceIdentity ?? key.sourceIdentity) === undefined ? [] : ["sts:SetSourceIdentity"]),
  ];
}

const roleConditions = ({ tags: ofRole }: KnownRole): Conditions =>
  [...ofRole].flatMap(([tag, value]) => [
    [`aws:ResourceTag/${tag}`, [value]] as const,
    [`iam:ResourceTag/${tag}`, [value]] as const,
  ]);

/** What the input says (Service Authorization Reference, "Condition keys for AWS Security Token Service"). */
function inputConditions(input: Input, { requested }: SessionTags): Conditions {
  const texts = {
    ExternalId: input.ExternalId,
    RoleSessionName: input.RoleSessionName,
    SourceIdentity: input.SourceIdentity,
  };
  return [
    ...Object.entries(texts).flatMap(([key, value]) => (value === undefined ? [] : [[`sts:${key}`, [value]] as const])),
    ...[...requested].map(([tag, value]) => [`aws:RequestTag/${tag}`, [value]] as const),
    ...(requested.size === 0 ? [] : [["aws:TagKeys", [...requested.keys()]] as const]),
    ...(input.TransitiveTagKeys === undefined ? [] : [["sts:TransitiveTagKeys", input.TransitiveTagKeys] as const]),
  ];
}

function assertTrusted(request: AuthorizationRequest, { trace }: StsCall): void {
  trace.questions = [...trace.questions, request];
  const { reason } = authorize(request);
  if (reason !== "allowed") throw accessDenied(denialText(request, reason));
}

/** Of a role that there is not, no more is said than of one in another account that does not trust the caller. */
const noSuchRole = ({ key }: StsCall, resource: string): AwsError =>
  accessDenied(`User: ${key.principal.arn} is not authorized to perform: sts:AssumeRole on resource: ${resource}`);

/** @throws AwsError ValidationError */
function durationOf({ DurationSeconds = DEFAULT_SECONDS }: Input, role: FoundRole, { key }: StsCall): number {
  if (key.principal.kind === "session" && DurationSeconds > MAX_CHAINED_SECONDS) {
    throw validationError(
      "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    );
  }
  if (DurationSeconds > role.maxSessionDuration) {
    throw validationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  }
  return DurationSeconds;
}
