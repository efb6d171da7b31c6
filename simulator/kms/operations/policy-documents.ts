/**
 * Key policies as documents (KMS Developer Guide, "Key policies in AWS KMS"): the one that a key has by default, how long one
 * may be, and the check against locking everybody out.
 */
import { z } from "zod";
import { utf8 } from "../../../shared/bytes.js";
import { AwsError, malformedPolicy } from "../../errors.js";
import { parseArn } from "../../iam/arn.js";
import type { KeyPolicy } from "../../iam/policy/compile.js";
import { sharedKeyPolicy } from "../../iam/policy/shared-policies.js";
import type { KmsKey } from "../key.js";
import type { Call, Conditions } from "../operation.js";
import { patterned } from "../schema.js";
import { keyConditions } from "./key-access.js";

/** PolicyType of the service model. */
export const policyText = patterned("[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", 1, 131_072);
export const bypassLockoutCheck = z.boolean().optional();

/** KMS Developer Guide, "Resource quotas": key policy document size. */
const MAX_POLICY_BYTES = 32_768;

/** @throws AwsError MalformedPolicyDocumentException, LimitExceededException */
export function readKeyPolicy(text: string): KeyPolicy {
  if (utf8(text).length > MAX_POLICY_BYTES) {
    throw new AwsError("LimitExceededException", `The key policy is longer than ${MAX_POLICY_BYTES} bytes.`);
  }
  return sharedKeyPolicy(text);
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

export function* bypassCondition(bypass = false): Conditions {
  yield ["kms:BypassPolicyLockoutSafetyCheck", [String(bypass)]];
}

/**
 * The key's policy must let the caller change it again, itself or through its account: a PutKeyPolicy like this call, from
 * where it comes, that bypasses nothing. @throws AwsError MalformedPolicyDocumentException
 */
export function assertNoLockout(call: Call<unknown>, key: KmsKey): void {
  const conditions = [...call.conditions, ...keyConditions(call, key, undefined), ...bypassCondition()];
  const answer = key.policy.evaluate({
    principal: call.principal,
    action: "kms:PutKeyPolicy",
    resource: key.arn,
    values: new Map(conditions.map(([name, values]) => [name.toLowerCase(), values])),
  });
  if (answer === "deny" || answer === "silent") {
    throw malformedPolicy("The new key policy will not allow you to update the key policy in the future.");
  }
}
