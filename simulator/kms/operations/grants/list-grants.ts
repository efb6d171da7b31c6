/** ListGrants and ListRetirableGrants (API_ListGrants, API_ListRetirableGrants), oldest first. */
import { z } from "zod";
import { AwsError, validationError } from "../../../errors.js";
import { parseArn } from "../../../iam/arn.js";
import type { Answer } from "../../answer.js";
import type { Grant } from "../../grant.js";
import type { GrantConstraints } from "../../grant-constraints.js";
import type { KmsKey } from "../../key.js";
import type { Call } from "../../operation.js";
import { defineOperation } from "../../operation.js";
import type { PageRequest } from "../../pagination.js";
import { pageMembers, pageOf } from "../../pagination.js";
import { keyId } from "../../schema.js";
import { demandOn, keyByIdOf } from "../key-access.js";
import { assertGrantId, awsResourceCondition } from "./grant-access.js";
import { assertPrincipalArn, principalId, servicePrincipal } from "./grant-terms.js";

const listInput = z.object({
  ...pageMembers,
  KeyId: keyId,
  GrantId: z.string().min(1).max(128).optional(),
  GranteePrincipal: principalId,
  GranteeServicePrincipal: servicePrincipal,
});

const retirableInput = z.object({
  ...pageMembers,
  RetiringPrincipal: principalId,
  RetiringServicePrincipal: servicePrincipal,
});

type ListCall = Call<z.infer<typeof listInput>>;
type RetirableCall = Call<z.infer<typeof retirableInput>>;

export const listGrants = defineOperation({
  name: "ListGrants",
  readOnly: true,
  input: listInput,
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "ListGrants", awsResourceCondition(call))],
  perform: (call, key) => answerOf(wantedOf(call, key), call.input, ["ListGrants", key.arn]),
});

/** It is about every key of the Region, those of other accounts included. */
export const listRetirableGrants = defineOperation({
  name: "ListRetirableGrants",
  readOnly: true,
  input: retirableInput,
  subject: () => undefined,
  demands: ({ principal }) => [
    { action: "kms:ListRetirableGrants", resource: { arn: "*", accountId: principal.accountId } },
  ],
  perform: (call) => {
    const retiring = retiringOf(call);
    const name = ["ListRetirableGrants", call.keys.region, retiring];
    return answerOf(call.grants.retirableBy(retiring), call.input, name);
  },
});

function wantedOf({ input, grants, principal }: ListCall, key: KmsKey): Iterable<Grant> {
  const { GrantId, GranteePrincipal, GranteeServicePrincipal } = input;
  assertOne("GranteePrincipal", GranteePrincipal, GranteeServicePrincipal);
  if (GranteeServicePrincipal !== undefined) assertService(principal.kind, "GranteeServicePrincipal");
  if (GrantId !== undefined) assertGrantId(GrantId);
  const all = GrantId === undefined ? [...grants.of(key.arn)] : [grants.find(key.arn, GrantId) ?? []].flat();
  return all.filter(
    ({ granteePrincipal, granteeServicePrincipal }) =>
      (GranteePrincipal === undefined || granteePrincipal === GranteePrincipal) &&
      (GranteeServicePrincipal === undefined || granteeServicePrincipal === GranteeServicePrincipal),
  );
}

/** The retiring principal that the request asks about: one of the caller's account, or a service. */
function retiringOf({ input, keys, principal }: RetirableCall): string {
  const { RetiringPrincipal, RetiringServicePrincipal } = input;
  assertOne("RetiringPrincipal", RetiringPrincipal, RetiringServicePrincipal);
  if (RetiringServicePrincipal !== undefined) {
    assertService(principal.kind, "RetiringServicePrincipal");
    return RetiringServicePrincipal;
  }
  if (RetiringPrincipal === undefined) throw validationError("You must specify a RetiringPrincipal.");
  assertPrincipalArn(RetiringPrincipal, keys.region);
  if (parseArn(RetiringPrincipal)?.accountId !== principal.accountId) {
    throw new AwsError("InvalidArnException", `${RetiringPrincipal} is not a principal in your account.`);
  }
  return RetiringPrincipal;
}

function assertOne(member: string, principal: string | undefined, service: string | undefined): void {
  if (principal === undefined || service === undefined) return;
  const other = member.replace("Principal", "ServicePrincipal");
  throw validationError(`You can specify either ${member} or ${other}, but not both.`);
}

function assertService(kind: string, member: string): void {
  if (kind !== "service") throw validationError(`${member} is only usable by callers in a service principal.`);
}

function answerOf(grants: Iterable<Grant>, request: PageRequest, name: readonly string[]): Answer {
  const { items, members } = pageOf(request, {
    name,
    items: grants,
    idOf: ({ creationDate, grantId }) => `${creationDate.toISOString()} ${grantId}`,
    limits: { usual: 50, most: 100 },
  });
  return { Grants: items.map(listEntry), ...members };
}

/** API_GrantListEntry. */
const listEntry = (grant: Grant): Answer => ({
  KeyId: grant.keyArn,
  GrantId: grant.grantId,
  Name: grant.name,
  CreationDate: grant.creationDate,
  GranteePrincipal: grant.granteePrincipal,
  GranteeServicePrincipal: grant.granteeServicePrincipal,
  RetiringPrincipal: grant.retiringPrincipal,
  RetiringServicePrincipal: grant.retiringServicePrincipal,
  IssuingAccount: grant.issuingAccount,
  Operations: grant.operations,
  Constraints: constraintsMember(grant.constraints),
});

function constraintsMember(constraints: GrantConstraints): Answer | undefined {
  const { encryptionContextSubset: subset, encryptionContextEquals: equals, sourceArn } = constraints;
  if (subset === undefined && equals === undefined && sourceArn === undefined) return undefined;
  return {
    EncryptionContextSubset: subset && Object.fromEntries(subset),
    EncryptionContextEquals: equals && Object.fromEntries(equals),
    SourceArn: sourceArn,
  };
}
