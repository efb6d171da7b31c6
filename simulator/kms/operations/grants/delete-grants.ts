/**
 * RevokeGrant and RetireGrant (API_RevokeGrant, API_RetireGrant). Policies say who may revoke; who may retire, the grant
 * says (KMS Developer Guide, "Retiring and revoking grants").
 */
import { z } from "zod";
import { validationError } from "../../../errors.js";
import type { Resource } from "../../../iam/authorization.js";
import type { KeyPolicy } from "../../../iam/policy/compile.js";
import type { Principal } from "../../../iam/principal.js";
import type { Grant } from "../../grant.js";
import { isGrantee, isRetiring } from "../../grant.js";
import { accountOf, identityAllows } from "../../grant-authorization.js";
import type { KmsKey } from "../../key.js";
import type { Call } from "../../operation.js";
import { defineOperation } from "../../operation.js";
import { dryRun, keyId } from "../../schema.js";
import { demandOn, keyByIdOf } from "../key-access.js";
import { awsResourceCondition, grantNotFound, grantOf } from "./grant-access.js";

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
  readonly grant: Grant;
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
    return { key, grant: grantOf(call, key, GrantId) };
  },
  demands: (call, { key, grant }) => [
    { ...demandOn(call, key, "RetireGrant"), resource: retirable(grant, key, call.principal) },
  ],
  perform: (call, { grant }) => removed(call, grant),
});

function keyAndGrantOf(call: Call<unknown>, token: string): KeyAndGrant {
  const { keyArn, grantId } = call.grants.redeem(token, call.now);
  const grant = call.grants.find(keyArn, grantId);
  if (grant === undefined) throw grantNotFound(grantId); // it has ended, and its token counts for a while yet
  return { key: call.keys.resolve(keyArn, call.principal.accountId), grant };
}

/**
 * The key as the one who would retire the grant meets it: its policy has no say. An account that is the retiring principal
 * decides by its IAM policies, and so does the account that owns the key.
 */
function retirable(grant: Grant, { arn, accountId }: KmsKey, principal: Principal): Resource {
  const named =
    isRetiring(grant, principal) || (isGrantee(grant, principal) && grant.operations.includes("RetireGrant"));
  const isOfRetiringAccount = grant.retiringPrincipal === accountOf(principal);
  return {
    ...{ arn, accountId },
    ...(principal.accountId === accountId ? {} : { keyPolicy: NO_POLICY }),
    grants: (question) => named || (isOfRetiringAccount && identityAllows(principal, question)),
  };
}

const NO_POLICY: KeyPolicy = { text: "", name: undefined, statements: [], evaluate: () => "silent" };

function removed({ input, grants, now }: Call<{ readonly DryRun?: boolean | undefined }>, grant: Grant) {
  if (input.DryRun !== true) grants.remove(grant, now);
  return {};
}
