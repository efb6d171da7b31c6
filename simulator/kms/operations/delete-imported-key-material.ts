/** DeleteImportedKeyMaterial (API_DeleteImportedKeyMaterial): the key waits until the same material is imported again. */
import { z } from "zod";
import { notFound } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { withMaterialGone } from "../key-lifecycle.js";
import { currentRecord } from "../material-record.js";
import { putShared } from "../multi-region.js";
import { defineOperation } from "../operation.js";
import { keyId, keyMaterialId } from "../schema.js";
import { assertOrigin, demandOn, keyByIdOf } from "./key-access.js";

export const deleteImportedKeyMaterial = defineOperation({
  name: "DeleteImportedKeyMaterial",
  readOnly: false,
  input: z.object({ KeyId: keyId, KeyMaterialId: keyMaterialId.optional() }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "DeleteImportedKeyMaterial")],
  perform: ({ input, regions }, key) => {
    assertOrigin(key, "EXTERNAL");
    const id = materialIdOf(key, input.KeyMaterialId);
    if (id !== undefined) putShared(regions, withMaterialGone(key, id));
    return { KeyId: key.arn, KeyMaterialId: key.keySpec === "SYMMETRIC_DEFAULT" ? id : undefined };
  },
});

/**
 * The current material, if the request names none. Undefined if there never was one.
 * @throws AwsError NotFoundException
 */
function materialIdOf({ arn, materials }: KmsKey, named: string | undefined): string | undefined {
  if (named === undefined) return currentRecord(materials)?.id;
  if (materials.some(({ id }) => id === named)) return named;
  throw notFound(`Key material (id: ${named}) is not associated with the KMS key ${arn}.`);
}
