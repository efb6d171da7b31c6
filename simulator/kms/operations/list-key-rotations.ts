/** ListKeyRotations (API_ListKeyRotations, API_RotationsListEntry): the materials of a key, oldest first. */
import { z } from "zod";
import { unsupported } from "../../errors.js";
import type { Answer } from "../answer.js";
import type { KmsKey } from "../key.js";
import type { MaterialRecord } from "../material-record.js";
import { expirationModelOf } from "../material-record.js";
import { materialStateOf } from "../multi-region.js";
import { defineOperation } from "../operation.js";
import { pageMembers, pageOf } from "../pagination.js";
import type { Regions } from "../regions.js";
import { keyId } from "../schema.js";
import { demandOn, keyByIdOf } from "./key-access.js";

export const listKeyRotations = defineOperation({
  name: "ListKeyRotations",
  readOnly: true,
  input: z.object({
    KeyId: keyId,
    IncludeKeyMaterial: z.enum(["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"]).optional(),
    ...pageMembers,
  }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "ListKeyRotations")],
  perform: ({ input, regions }, key) => {
    if (key.keySpec !== "SYMMETRIC_DEFAULT") throw unsupported("");
    const { IncludeKeyMaterial = "ROTATIONS_ONLY" } = input;
    const numbered = key.materials.map((record, index) => ({ record, index }));
    const { items, members } = pageOf(input, {
      name: ["ListKeyRotations", key.arn, IncludeKeyMaterial],
      items: numbered.filter(
        ({ record }) => IncludeKeyMaterial === "ALL_KEY_MATERIAL" || record.rotation !== undefined,
      ),
      idOf: ({ index }) => String(index).padStart(8, "0"),
      limits: { usual: 100, most: 1000 },
    });
    return { Rotations: items.map(({ record }) => rotationEntry(regions, key, record)), ...members };
  },
});

const rotationEntry = (regions: Regions, key: KmsKey, record: MaterialRecord): Answer => ({
  KeyId: key.arn,
  KeyMaterialId: record.id,
  KeyMaterialState: materialStateOf(regions, key, record),
  ...(key.origin === "EXTERNAL" ? importMembers(record) : {}),
  RotationDate: record.rotation?.date,
  RotationType: record.rotation?.type,
});

const importMembers = ({ material, validTo, description }: MaterialRecord): Answer => ({
  KeyMaterialDescription: description,
  ImportState: material === undefined ? "PENDING_IMPORT" : "IMPORTED",
  ExpirationModel: material === undefined ? undefined : expirationModelOf(validTo),
  ValidTo: validTo,
});
