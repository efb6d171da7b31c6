/**
 * ReplicateKey (API_ReplicateKey): one more key of a multi-Region key, in another Region. The answer says that it is being
 * created; it is there before the next call.
 */
import { z } from "zod";
import { AwsError, unsupported, validationError } from "../../errors.js";
import type { Answer } from "../answer.js";
import type { KmsKey } from "../key.js";
import type { KeyStore } from "../keys.js";
import { isComplete } from "../material-record.js";
import { sharedMaterials } from "../multi-region.js";
import type { Call, Demand } from "../operation.js";
import { defineOperation } from "../operation.js";
import { description, keyId, region } from "../schema.js";
import type { Tags } from "../tags.js";
import { readTags, tagConditions, tagList } from "../tags.js";
import { keyMetadata } from "./describe-key.js";
import { assertEnabled, assertNotPendingDeletion, demandOn, keyByIdOf, multiRegionConditions } from "./key-access.js";
import {
  assertNoLockout,
  bypassCondition,
  bypassLockoutCheck,
  defaultKeyPolicy,
  policyText,
  readKeyPolicy,
} from "./policy-documents.js";

const replicateKeyInput = z.object({
  KeyId: keyId,
  ReplicaRegion: region,
  Policy: policyText.optional(),
  BypassPolicyLockoutSafetyCheck: bypassLockoutCheck,
  Description: description.optional(),
  Tags: tagList.optional(),
});

type ReplicateKeyCall = Call<z.infer<typeof replicateKeyInput>>;

interface Subject {
  readonly primary: KmsKey;
  /** Of the replica's Region. */
  readonly keys: KeyStore;
  readonly tags: Tags;
}

/** Three permissions: to replicate the primary, and to make and to tag a key in the other Region. */
export const replicateKey = defineOperation({
  name: "ReplicateKey",
  readOnly: false,
  input: replicateKeyInput,
  subject: (call): Subject => ({
    primary: keyByIdOf(call),
    keys: replicaStore(call),
    tags: readTags(call.input.Tags ?? []),
  }),
  demands: (call, subject) => [
    demandOn(call, subject.primary, "ReplicateKey", [["kms:ReplicaRegion", [call.input.ReplicaRegion]]]),
    createDemand(call, subject),
    ...(subject.tags.size === 0 ? [] : [tagDemand(call, subject)]),
  ],
  perform: (call, { primary, keys, tags }) => {
    if (primary.multiRegionKeyType !== "PRIMARY") {
      throw unsupported(`${primary.arn} is not a multi-region primary key.`);
    }
    assertReplicable(primary);
    const replica = replicaOf(call, { primary, keys, tags });
    if (keys.find(replica.arn) !== undefined) {
      throw new AwsError("AlreadyExistsException", `Key '${replica.arn}' already exists`);
    }
    if (call.input.BypassPolicyLockoutSafetyCheck !== true) assertNoLockout({ ...call, keys }, replica);
    keys.put(replica);
    return {
      ReplicaKeyMetadata: creating(keyMetadata(call.regions, replica)),
      ReplicaPolicy: replica.policy.text,
      ReplicaTags: tags.size === 0 ? undefined : [...tags].map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
    };
  },
});

const createDemand = ({ principal: { accountId }, input }: ReplicateKeyCall, { primary, tags }: Subject): Demand => ({
  action: "kms:CreateKey",
  region: input.ReplicaRegion,
  resource: { arn: "*", accountId },
  conditions: [
    ["kms:KeySpec", [primary.keySpec]],
    ["kms:KeyUsage", [primary.keyUsage]],
    ["kms:KeyOrigin", [primary.origin]],
    ...multiRegionConditions("REPLICA"),
    ...bypassCondition(input.BypassPolicyLockoutSafetyCheck),
    ...tagConditions(tags),
  ],
});

const tagDemand = ({ principal: { accountId } }: ReplicateKeyCall, { keys, tags }: Subject): Demand => ({
  action: "kms:TagResource",
  region: keys.region,
  resource: { arn: keys.keyArn(accountId, "*"), accountId },
  conditions: tagConditions(tags),
});

/** A primary that waits for its material can be replicated, so that its replicas wait for it too. */
function assertReplicable(primary: KmsKey): void {
  if (primary.state === "PendingImport") return;
  assertNotPendingDeletion(primary);
  assertEnabled(primary);
}

/** @throws AwsError ValidationException */
function replicaStore({ regions, input: { ReplicaRegion } }: ReplicateKeyCall): KeyStore {
  if (!regions.has(ReplicaRegion)) throw validationError(`Keys cannot be replicated into Region ${ReplicaRegion}.`);
  return regions.of(ReplicaRegion).keys;
}

function replicaOf({ input, now }: ReplicateKeyCall, { primary, keys, tags }: Subject): KmsKey {
  const arn = keys.keyArn(primary.accountId, primary.keyId);
  const materials = sharedMaterials(primary);
  const { keyId: id, accountId, keySpec, keyUsage, origin, rotation } = primary;
  return {
    ...{ keyId: id, arn, accountId, keySpec, keyUsage, origin, materials, tags },
    ...(rotation && { rotation }),
    multiRegionKeyType: "REPLICA",
    creationDate: now,
    description: input.Description ?? "",
    policy: readKeyPolicy(input.Policy ?? defaultKeyPolicy(arn)),
    state: isComplete(materials) ? "Enabled" : "PendingImport",
  };
}

/** What KMS says of a replica in the moment of its making, when its material has not come yet. */
const creating = ({ CurrentKeyMaterialId: _, ...metadata }: Answer): Answer => ({
  ...metadata,
  Enabled: false,
  KeyState: "Creating",
});
