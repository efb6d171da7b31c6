/** DescribeKey (API_DescribeKey), and what it says of a key. */
import { z } from "zod";
import type { KmsKey } from "../key.js";
import { currentMaterial } from "../key.js";
import { algorithmMembers } from "../key-specs.js";
import type { Answer } from "../operation.js";
import { defineOperation } from "../operation.js";
import { grantTokens, keyId } from "../schema.js";
import { demandOn, keyOf } from "./key-access.js";

export const describeKey = defineOperation({
  name: "DescribeKey",
  readOnly: true,
  input: z.object({ KeyId: keyId, GrantTokens: grantTokens }),
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "DescribeKey")],
  perform: (_call, key) => ({ KeyMetadata: keyMetadata(key) }),
});

/** API_KeyMetadata. */
export function keyMetadata(key: KmsKey): Answer {
  const material = currentMaterial(key);
  return {
    AWSAccountId: key.accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: key.creationDate,
    Enabled: key.state === "Enabled",
    Description: key.description,
    KeyState: key.state,
    DeletionDate: key.deletionDate,
    Origin: "AWS_KMS",
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    KeyUsage: key.keyUsage,
    ...algorithmMembers(key.keySpec, key.keyUsage),
    MultiRegion: false,
    CurrentKeyMaterialId: material?.kind === "symmetric" ? material.id : undefined,
  };
}
