/** GetKeyPolicy, PutKeyPolicy and ListKeyPolicies (API_GetKeyPolicy, …). A key has one policy, and its name is `default`. */
import { z } from "zod";
import { notFound } from "../../errors.js";
import { defineOperation } from "../operation.js";
import { pageMembers, pageOf } from "../pagination.js";
import { keyId, patterned } from "../schema.js";
import { demandOn, keyByIdOf } from "./key-access.js";
import { assertNoLockout, bypassCondition, bypassLockoutCheck, policyText, readKeyPolicy } from "./policy-documents.js";

const NAME = "default";
const policyName = patterned("[\\w]+", 1, 128).optional();

export const getKeyPolicy = defineOperation({
  name: "GetKeyPolicy",
  readOnly: true,
  input: z.object({ KeyId: keyId, PolicyName: policyName }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "GetKeyPolicy")],
  perform: ({ input }, key) => {
    assertName(input.PolicyName);
    return { Policy: key.policy.text, PolicyName: NAME };
  },
});

export const putKeyPolicy = defineOperation({
  name: "PutKeyPolicy",
  readOnly: false,
  input: z.object({
    KeyId: keyId,
    Policy: policyText,
    PolicyName: policyName,
    BypassPolicyLockoutSafetyCheck: bypassLockoutCheck,
  }),
  subject: keyByIdOf,
  demands: (call, key) => [
    demandOn(call, key, "PutKeyPolicy", bypassCondition(call.input.BypassPolicyLockoutSafetyCheck)),
  ],
  perform: (call, key) => {
    assertName(call.input.PolicyName);
    const changed = { ...key, policy: readKeyPolicy(call.input.Policy) };
    if (call.input.BypassPolicyLockoutSafetyCheck !== true) assertNoLockout(call, changed);
    call.keys.put(changed);
    return {};
  },
});

export const listKeyPolicies = defineOperation({
  name: "ListKeyPolicies",
  readOnly: true,
  input: z.object({ KeyId: keyId, ...pageMembers }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "ListKeyPolicies")],
  perform: ({ input }, key) => {
    const { items, members } = pageOf(input, {
      name: ["ListKeyPolicies", key.arn],
      items: [NAME],
      idOf: (name) => name,
      limits: { usual: 100, most: 1000 },
    });
    return { PolicyNames: items, ...members };
  },
});

/** @throws AwsError NotFoundException */
function assertName(name = NAME): void {
  if (name !== NAME) throw notFound("No such policy exists");
}
