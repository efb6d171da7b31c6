/** What the operations on grants have in common: finding the grant, and saying for whom a call is made. */
import { AwsError, notFound } from "../../../errors.js";
import type { Grant } from "../../grant.js";
import type { KmsKey } from "../../key.js";
import type { Call, Conditions } from "../../operation.js";

const GRANT_ID = /^[0-9a-f]{64}$/;

/** @throws AwsError InvalidGrantIdException for what cannot be the id of a grant */
export function assertGrantId(grantId: string): void {
  if (!GRANT_ID.test(grantId)) throw new AwsError("InvalidGrantIdException");
}

/** @throws AwsError NotFoundException, InvalidGrantIdException */
export function grantOf({ grants }: Call<unknown>, key: KmsKey, grantId: string): Grant {
  assertGrantId(grantId);
  const grant = grants.find(key.arn, grantId);
  if (grant === undefined) throw grantNotFound(grantId);
  return grant;
}

export const grantNotFound = (grantId: string): AwsError => notFound(`Grant ID ${grantId} not found`);

/** `kms:GrantIsForAWSResource`: whether an AWS service calls, for itself or on behalf of the principal. */
export function* awsResourceCondition({ principal, conditions }: Call<unknown>): Conditions {
  const viaService = [...conditions].some(([key]) => key.toLowerCase() === "kms:viaservice");
  yield ["kms:GrantIsForAWSResource", [String(principal.kind === "service" || viaService)]];
}
