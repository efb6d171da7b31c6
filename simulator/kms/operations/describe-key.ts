/** DescribeKey (API_DescribeKey), and what it says of a key. */
import { z } from "zod";
import type { Answer } from "../answer.js";
import type { KmsKey } from "../key.js";
import { algorithmMembers } from "../key-specs.js";
import { currentRecord, expirationModelOf, permanentRecords } from "../material-record.js";
import { multiRegionMembers } from "../multi-region.js";
import { defineOperation } from "../operation.js";
import type { Regions } from "../regions.js";
import { grantTokens, keyId } from "../schema.js";
import { demandOn, keyOf } from "./key-access.js";

export const describeKey = defineOperation({
  name: "DescribeKey",
  readOnly: true,
  input: z.object({ KeyId: keyId, GrantTokens: grantTokens }),
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "DescribeKey")],
  perform: ({ regions }, key) => ({ KeyMetadata: keyMetadata(regions, key) }),
});

/** API_KeyMetadata. */
export function keyMetadata(regions: Regions, key: KmsKey): Answer {
  return {
    AWSAccountId: key.accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: key.creationDate,
    Enabled: key.state === "Enabled",
    Description: key.description,
    KeyState: key.state,
    DeletionDate: key.deletionDate,
    PendingDeletionWindowInDays: key.pendingWindowInDays,
    Origin: key.origin,
    ...expirationMembers(key),
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: key.keySpec,
    KeySpec: key.keySpec,
    KeyUsage: key.keyUsage,
    ...algorithmMembers(key.keySpec, key.keyUsage),
    ...multiRegionMembers(regions, key),
    CurrentKeyMaterialId: key.keySpec === "SYMMETRIC_DEFAULT" ? currentRecord(key.materials)?.id : undefined,
  };
}

/** `ExpirationModel` and `ValidTo` of imported material: the earliest date of any that the key has for good. */
function expirationMembers({ origin, materials }: KmsKey): Answer {
  const present = permanentRecords(materials).filter((record) => record.material !== undefined);
  if (origin !== "EXTERNAL" || present.length === 0) return {};
  const dates = present.map((record) => record.validTo).filter((date) => date !== undefined);
  const [earliest] = dates.sort((a, b) => a.getTime() - b.getTime());
  return { ExpirationModel: expirationModelOf(earliest), ValidTo: earliest };
}
