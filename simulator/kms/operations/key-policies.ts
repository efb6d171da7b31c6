/** GetKeyPolicy and PutKeyPolicy, the default key policy, and the check against locking everybody out. */
import { z } from "zod";
import { malformedPolicy, notFound } from "../../errors.js";
import { parseArn } from "../../iam/arn.js";
import type { Resource } from "../../iam/authorization.js";
import { authorize } from "../../iam/authorization.js";
import { compileKeyPolicy } from "../../iam/policy/compile.js";
import { resourceOf } from "../key.js";
import type { Call } from "../operation.js";
import { defineOperation } from "../operation.js";
import { keyId, patterned } from "../schema.js";
import { demandOn, keyOf } from "./key-access.js";

/** PolicyType of the service model. */
export const policyText = patterned("[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+").min(1).max(131_072);
const policyName = patterned("[\\w]+").min(1).max(128).optional();

export const getKeyPolicy = defineOperation({
  name: "GetKeyPolicy",
  readOnly: true,
  input: z.object({ KeyId: keyId, PolicyName: policyName }),
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "GetKeyPolicy")],
  perform: ({ input }, key) => {
    assertDefaultName(input.PolicyName);
    return { Policy: key.policy.text, PolicyName: "default" };
  },
});

export const putKeyPolicy = defineOperation({
  name: "PutKeyPolicy",
  readOnly: false,
  input: z.object({
    KeyId: keyId,
    Policy: policyText,
    PolicyName: policyName,
    BypassPolicyLockoutSafetyCheck: z.boolean().optional(),
  }),
  subject: keyOf,
  demands: (call, key) => [
    demandOn(call, key, "PutKeyPolicy", bypassCondition(call.input.BypassPolicyLockoutSafetyCheck)),
  ],
  perform: (call, key) => {
    assertDefaultName(call.input.PolicyName);
    const keyPolicy = compileKeyPolicy(call.input.Policy);
    if (call.input.BypassPolicyLockoutSafetyCheck !== true) assertNoLockout(call, { ...resourceOf(key), keyPolicy });
    call.keys.put({ ...key, policy: keyPolicy });
    return {};
  },
});

function* bypassCondition(bypass = false) {
  yield ["kms:BypassPolicyLockoutSafetyCheck", [String(bypass)]] as const;
}

/** A key has one policy, and its name is `default`. */
function assertDefaultName(name: string | undefined): void {
  if (name !== undefined && name !== "default") throw notFound("No such policy exists");
}

/** The policy of keys that are made without one: the account's IAM policies decide. */
export function defaultKeyPolicy(keyArn: string): string {
  const { partition = "aws", accountId = "" } = parseArn(keyArn) ?? {};
  const principal = { AWS: `arn:${partition}:iam::${accountId}:root` };
  const statement = {
    Sid: "Enable IAM User Permissions",
    Effect: "Allow",
    Principal: principal,
    Action: "kms:*",
    Resource: "*",
  };
  return JSON.stringify({ Version: "2012-10-17", Id: "key-default-1", Statement: [statement] }, null, 2);
}

/** The caller must be able to change the policy again. @throws AwsError MalformedPolicyDocumentException */
export function assertNoLockout(call: Call<unknown>, resource: Resource): void {
  const values = new Map([...call.conditions].map(([key, value]) => [key.toLowerCase(), value]));
  const { principal } = call;
  if (!authorize({ principal, action: "kms:PutKeyPolicy", resource, values }).allowed) {
    throw malformedPolicy("The new key policy will not allow you to update the key policy in the future.");
  }
}
