/** CreateKey (API_CreateKey). */
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { KmsKey } from "../key.js";
import { newKeyId } from "../key.js";
import { CUSTOMER_MASTER_KEY_SPECS, KEY_SPECS, KEY_USAGES } from "../key-specs.js";
import { firstMaterial } from "../material-record.js";
import { newMaterial } from "../new-material.js";
import type { Call, Demand } from "../operation.js";
import { defineOperation } from "../operation.js";
import { description, patterned } from "../schema.js";
import type { Tags } from "../tags.js";
import { readTags, tagConditions, tagList } from "../tags.js";
import { customKeyStoreId } from "./custom-key-stores.js";
import { keyMetadata } from "./describe-key.js";
import { multiRegionConditions } from "./key-access.js";
import type { KeyKind } from "./key-kinds.js";
import { keyKindOf } from "./key-kinds.js";
import {
  assertNoLockout,
  bypassCondition,
  bypassLockoutCheck,
  defaultKeyPolicy,
  policyText,
  readKeyPolicy,
} from "./policy-documents.js";

const createKeyInput = z.object({
  Policy: policyText.optional(),
  Description: description.optional(),
  KeyUsage: z.enum(KEY_USAGES).optional(),
  CustomerMasterKeySpec: z.enum(CUSTOMER_MASTER_KEY_SPECS).optional(),
  KeySpec: z.enum(KEY_SPECS).optional(),
  Origin: z.enum(["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"]).optional(),
  CustomKeyStoreId: customKeyStoreId.optional(),
  BypassPolicyLockoutSafetyCheck: bypassLockoutCheck,
  Tags: tagList.optional(),
  MultiRegion: z.boolean().optional(),
  XksKeyId: patterned("^[a-zA-Z0-9-_.]+$", 1, 128).optional(),
});

type CreateKeyInput = z.infer<typeof createKeyInput>;

interface Wanted extends KeyKind {
  readonly tags: Tags;
}

export const createKey = defineOperation({
  name: "CreateKey",
  readOnly: false,
  input: createKeyInput,
  subject: ({ input }): Wanted => ({ ...keyKindOf(input), tags: readTags(input.Tags ?? []) }),
  demands: (call, wanted) =>
    wanted.tags.size === 0 ? [keyDemand(call, wanted)] : [keyDemand(call, wanted), tagDemand(call, wanted)],
  perform: async (call, wanted) => {
    const key = await makeKey(call, wanted);
    if (call.input.BypassPolicyLockoutSafetyCheck !== true) assertNoLockout(call, key);
    call.keys.put(key);
    return { KeyMetadata: keyMetadata(call.regions, key) };
  },
});

const keyDemand = (
  { principal, input }: Call<CreateKeyInput>,
  { spec, usage, origin, multiRegion, tags }: Wanted,
): Demand => ({
  action: "kms:CreateKey",
  resource: { arn: "*", accountId: principal.accountId },
  conditions: [
    ["kms:KeySpec", [spec]],
    ["kms:KeyUsage", [usage]],
    ["kms:KeyOrigin", [origin]],
    ...multiRegionConditions(multiRegion ? "PRIMARY" : undefined),
    ...bypassCondition(input.BypassPolicyLockoutSafetyCheck),
    ...tagConditions(tags),
  ],
});

/** Tags on a new key need the permission to tag as well, of a key that has no id yet. */
const tagDemand = ({ principal: { accountId }, keys }: Call<CreateKeyInput>, { tags }: Wanted): Demand => ({
  action: "kms:TagResource",
  resource: { arn: keys.keyArn(accountId, "*"), accountId },
  conditions: tagConditions(tags),
});

async function makeKey({ input, principal, keys, now }: Call<CreateKeyInput>, wanted: Wanted): Promise<KmsKey> {
  const { accountId } = principal;
  const keyId = newKeyId(wanted.multiRegion);
  const arn = keys.keyArn(accountId, keyId);
  return {
    keyId,
    arn,
    accountId,
    creationDate: now,
    description: input.Description ?? "",
    keySpec: wanted.spec,
    keyUsage: wanted.usage,
    policy: readKeyPolicy(input.Policy ?? defaultKeyPolicy(arn)),
    tags: wanted.tags,
    ...(wanted.multiRegion ? { multiRegionKeyType: "PRIMARY" } : {}),
    ...(await beginningOf(wanted)),
  };
}

/** What a new key begins with: material of KMS's own, or the want of some. */
async function beginningOf({ origin, spec }: KeyKind): Promise<Pick<KmsKey, "origin" | "materials" | "state">> {
  if (origin === "EXTERNAL") return { origin, materials: [], state: "PendingImport" };
  const material = await newMaterial(spec);
  const id = material.kind === "symmetric" ? material.id : randomUUID();
  return { origin, materials: [firstMaterial(id, material)], state: "Enabled" };
}
