/** CreateGrant (API_CreateGrant). Whoever may call it only through a grant can pass on no more than that grant gives. */
import { createSecretKey, randomBytes } from "node:crypto";
import { z } from "zod";
import { AwsError } from "../../../errors.js";
import type { Grant, GrantTerms } from "../../grant.js";
import { within } from "../../grant.js";
import { accountOf } from "../../grant-authorization.js";
import { newGrantToken } from "../../grant-token.js";
import type { KmsKey } from "../../key.js";
import type { Call } from "../../operation.js";
import { defineOperation } from "../../operation.js";
import { dryRun, grantTokens, keyId } from "../../schema.js";
import { assertEnabled, demandOn, keyByIdOf } from "../key-access.js";
import { awsResourceCondition } from "./grant-access.js";
import { assertTerms, termsConditions, termsMembers, termsOf } from "./grant-terms.js";

const createGrantInput = z.object({ KeyId: keyId, ...termsMembers, GrantTokens: grantTokens, DryRun: dryRun });

/** KMS Developer Guide, "Resource quotas". */
const MAX_GRANTS_PER_KEY = 50_000;

export const createGrant = defineOperation({
  name: "CreateGrant",
  readOnly: false,
  input: createGrantInput,
  subject: (call) => ({ key: keyByIdOf(call), terms: termsOf(call.input) }),
  demands: (call, { key, terms }) => [
    {
      ...demandOn(call, key, "CreateGrant", [...termsConditions(terms), ...awsResourceCondition(call)]),
      throughGrant: within(terms),
    },
  ],
  perform: (call, { key, terms }) => {
    assertEnabled(key);
    assertTerms(terms, key);
    const { grantId, tokenKey } = grantFor(call, key, terms);
    return { GrantId: grantId, GrantToken: newGrantToken(grantId, tokenKey) };
  },
});

/** The grant of these terms: the one that an earlier request of the same name made, or a new one. */
function grantFor(
  { input, grants, principal, now }: Call<z.infer<typeof createGrantInput>>,
  key: KmsKey,
  terms: GrantTerms,
): Grant {
  const grant: Grant = {
    ...terms,
    grantId: randomBytes(32).toString("hex"),
    keyArn: key.arn,
    creationDate: now,
    issuingAccount: accountOf(principal),
    tokenKey: createSecretKey(randomBytes(32)),
  };
  const present = grants.findRepeated(grant);
  if (present !== undefined) return present;
  if (grants.countOf(key.arn) >= MAX_GRANTS_PER_KEY) {
    throw new AwsError(
      "LimitExceededException",
      `${key.arn} has ${MAX_GRANTS_PER_KEY} grants, which is the most that a key can have.`,
    );
  }
  if (input.DryRun !== true) grants.put(grant);
  return grant;
}
