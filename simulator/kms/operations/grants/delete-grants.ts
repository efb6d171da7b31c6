/**
 * RevokeGrant and RetireGrant (API_RevokeGrant, API_RetireGrant). Policies say who may revoke; who may retire, the grant
 * says (KMS Developer Guide, "Retiring and revoking grants").
 */
import { z } from "zod";
import { validationError } from "../../../errors.js";
import type { Resource } from "../../../iam/authorization.js";
import type { Principal } from "../../../iam/principal.js";
import type { Grant } from "../../grant.js";
import { isGrantee, isRetiring } from "../../grant.js";
import { accountOf, identityAllows } from "../../grant-authorization.js";
import { SILENT_POLICY } from "../../hidden-key.js";
import type { KmsKey } from "../../key.js";
import type { Call } from "../../operation.js";
import { defineOperation } from "../../operation.js";
import { dryRun, keyId } from "../../schema.js";
import { demandOn, keyByIdOf } from "../key-access.js";
import { assertGrantId, awsResourceCondition, grantNotFound, grantOf } from "./grant-access.js";

const grantId = z.string().min(1).max(128);
const revokeInput = z.object({ KeyId: keyId, GrantId: grantId, DryRun: dryRun });
const retireInput = z.object({
  GrantToken: z.string().min(1).max(8192).optional(),
  KeyId: keyId.optional(),
  GrantId: grantId.optional(),
  DryRun: dryRun,
});

interface KeyAndGrant {
  readonly key: KmsKey;
  readonly grantId: string;
  /** Undefined if there is none of that id: a caller learns of it who may retire grants of the key's account. */
  readonly grant: Grant | undefined;
}

export const revokeGrant = defineOperation({
  name: "RevokeGrant",
  readOnly: false,
  input: revokeInput,
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "RevokeGrant", awsResourceCondition(call))],
  perform: (call, key) => removed(call, grantOf(call, key, call.input.GrantId)),
});

export const retireGrant = defineOperation({
  name: "RetireGrant",
  readOnly: false,
  input: retireInput,
  subject: (call): KeyAndGrant => {
    const { GrantToken, KeyId, GrantId } = call.input;
    if (GrantToken !== undefined) return keyAndGrantOf(call, GrantToken);
    if (KeyId === undefined || GrantId === undefined) {
      throw validationError("You must specify either GrantToken, or both KeyId and GrantId.");
    }
    const key = keyByIdOf({ ...call, input: { KeyId } });
    assertGrantId(GrantId);
    return { key, grantId: GrantId, grant: call.grants.find(key.arn, GrantId) };
  },
  demands: (call, { key, grant }) => [
    { ...demandOn(call, key, "RetireGrant"), resource: retirable(grant, key, call.principal) },
  ],
  perform: (call, { grant, grantId }) => {
    if (grant === undefined) throw grantNotFound(grantId);
    return removed(call, grant);
  },
});

function keyAndGrantOf(call: Call<unknown>, token: string): KeyAndGrant {
  const { keyArn, grantId } = call.grants.redeem(token, call.now);
  const grant = call.grants.find(keyArn, grantId);
  if (grant === undefined) throw grantNotFound(grantId); // it has ended, and its token counts for a while yet
  return { key: call.keys.resolve(keyArn, call.principal.accountId), grantId, grant };
}

/**
 * The key as the one who would retire the grant meets it: its policy has no say. An account that is the retiring principal
 * decides by its IAM policies, and so does the account that owns the key.
 */
function retirable(grant: Grant | undefined, { arn, accountId }: KmsKey, principal: Principal): Resource {
  const named = grant !== undefined && mayRetire(grant, principal);
  const isOfRetiringAccount = grant?.retiringPrincipal === accountOf(principal);
  return {
    ...{ arn, accountId },
    ...(principal.accountId === accountId ? {} : { keyPolicy: SILENT_POLICY }),
    grants: (question) => named || (isOfRetiringAccount && identityAllows(principal, question)),
  };
}

const mayRetire = (grant: Grant, principal: Principal): boolean =>
  isRetiring(grant, principal) || (isGrantee(grant, principal) && grant.operations.includes("RetireGrant"));

function removed({ input, grants, now }: Call<{ readonly DryRun?: boolean | undefined }>, grant: Grant) {
  if (input.DryRun !== true) grants.remove(grant, now);
  return {};
}
