/** CreateKey, DescribeKey, EnableKey, DisableKey: keys as objects, without using them. */
import { z } from "zod";
import type { AwsError } from "../../errors.js";
import { unsupported, validationError } from "../../errors.js";
import { compileKeyPolicy } from "../../iam/policy/compile.js";
import type { KmsKey } from "../key.js";
import { currentMaterial, newKeyId, resourceOf } from "../key.js";
import type { KeySpec, KeyUsage } from "../key-specs.js";
import { algorithmMembers, CUSTOMER_MASTER_KEY_SPECS, KEY_SPECS, KEY_USAGES, mayHaveUsage } from "../key-specs.js";
import { newMaterial } from "../new-material.js";
import type { Answer, Call } from "../operation.js";
import { defineOperation } from "../operation.js";
import { grantTokens, keyId } from "../schema.js";
import { demandOn, keyOf } from "./key-access.js";
import { assertNoLockout, defaultKeyPolicy, policyText } from "./key-policies.js";

const createKeyInput = z.object({
  Policy: policyText.optional(),
  Description: z.string().max(8192).optional(),
  KeyUsage: z.enum(KEY_USAGES).optional(),
  CustomerMasterKeySpec: z.enum(CUSTOMER_MASTER_KEY_SPECS).optional(),
  KeySpec: z.enum(KEY_SPECS).optional(),
  Origin: z.enum(["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"]).optional(),
  CustomKeyStoreId: z.string().min(1).max(64).optional(),
  BypassPolicyLockoutSafetyCheck: z.boolean().optional(),
  Tags: z.array(z.object({ TagKey: z.string().min(1).max(128), TagValue: z.string().max(256) })).optional(),
  MultiRegion: z.boolean().optional(),
});

type CreateKeyInput = z.infer<typeof createKeyInput>;

export const createKey = defineOperation({
  name: "CreateKey",
  readOnly: false,
  input: createKeyInput,
  subject: ({ input }) => specAndUsageOf(input),
  demands: ({ principal, input }, { spec, usage }) => [
    {
      action: "kms:CreateKey",
      resource: { arn: "*", accountId: principal.accountId },
      conditions: [
        ["kms:KeySpec", [spec]],
        ["kms:KeyUsage", [usage]],
        ["kms:KeyOrigin", ["AWS_KMS"]],
        ["kms:MultiRegion", ["false"]],
        ["kms:BypassPolicyLockoutSafetyCheck", [String(input.BypassPolicyLockoutSafetyCheck ?? false)]],
        ["aws:TagKeys", (input.Tags ?? []).map((tag) => tag.TagKey)],
        ...(input.Tags ?? []).map((tag) => [`aws:RequestTag/${tag.TagKey}`, [tag.TagValue]] as const),
      ],
    },
  ],
  perform: async (call, { spec, usage }) => {
    const key = await makeKey(call, spec, usage);
    if (call.input.BypassPolicyLockoutSafetyCheck !== true) assertNoLockout(call, resourceOf(key));
    call.keys.put(key);
    return { KeyMetadata: keyMetadata(key) };
  },
});

/** @throws AwsError ValidationException, UnsupportedOperationException */
function specAndUsageOf(input: CreateKeyInput): { spec: KeySpec; usage: KeyUsage } {
  if (input.KeySpec !== undefined && input.CustomerMasterKeySpec !== undefined) {
    throw validationError(
      "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
    );
  }
  const spec = input.KeySpec ?? input.CustomerMasterKeySpec ?? "SYMMETRIC_DEFAULT";
  if (input.KeyUsage === undefined && spec !== "SYMMETRIC_DEFAULT") {
    throw validationError("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
  }
  const usage = input.KeyUsage ?? "ENCRYPT_DECRYPT";
  const origin = input.Origin ?? "AWS_KMS";
  if (origin !== "AWS_KMS" || input.CustomKeyStoreId !== undefined) {
    throw unsupported(`Keys of origin ${origin} and custom key stores are not supported by this simulated KMS.`);
  }
  if (input.MultiRegion === true) throw unsupported("Multi-Region keys are not supported by this simulated KMS.");
  if (!mayHaveUsage(spec, usage)) throw unfit(spec, usage);
  return { spec, usage };
}

function unfit(spec: KeySpec, usage: KeyUsage): AwsError {
  return validationError(
    spec === "SYMMETRIC_DEFAULT"
      ? `The operation failed because the KeyUsage value of the CMK is ${usage}. To perform this operation, the KeyUsage value must be ENCRYPT_DECRYPT.`
      : `KeyUsage ${usage} is not compatible with KeySpec ${spec}`,
  );
}

async function makeKey(call: Call<CreateKeyInput>, keySpec: KeySpec, keyUsage: KeyUsage): Promise<KmsKey> {
  const { accountId } = call.principal;
  const id = newKeyId();
  const arn = call.keys.keyArn(accountId, id);
  return {
    keyId: id,
    arn,
    accountId,
    creationDate: call.now,
    description: call.input.Description ?? "",
    keySpec,
    keyUsage,
    policy: compileKeyPolicy(call.input.Policy ?? defaultKeyPolicy(arn)),
    materials: [await newMaterial(keySpec)],
    tags: new Map((call.input.Tags ?? []).map((tag) => [tag.TagKey, tag.TagValue])),
    state: "Enabled",
  };
}

export const describeKey = defineOperation({
  name: "DescribeKey",
  readOnly: true,
  input: z.object({ KeyId: keyId, GrantTokens: grantTokens }),
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "DescribeKey")],
  perform: (_call, key) => ({ KeyMetadata: keyMetadata(key) }),
});

/** API_KeyMetadata. */
function keyMetadata(key: KmsKey): Answer {
  const material = currentMaterial(key);
  return {
    AWSAccountId: key.accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: key.creationDate,
    Enabled: key.state === "Enabled",
    Description: key.description,
    KeyState: key.state,
    Origin: "AWS_KMS",
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    KeyUsage: key.keyUsage,
    ...algorithmMembers(key.keySpec, key.keyUsage),
    MultiRegion: false,
    ...(material?.kind === "symmetric" ? { CurrentKeyMaterialId: material.id } : {}),
  };
}

export const enableKey = switchKey("EnableKey", "Enabled");
export const disableKey = switchKey("DisableKey", "Disabled");

function switchKey(name: "EnableKey" | "DisableKey", state: "Enabled" | "Disabled") {
  return defineOperation({
    name,
    readOnly: false,
    input: z.object({ KeyId: keyId }),
    subject: keyOf,
    demands: (call, key) => [demandOn(call, key, name)],
    perform: ({ keys }, key) => {
      keys.put({ ...key, state });
      return {};
    },
  });
}
