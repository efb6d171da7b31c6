/** What time does to keys, without a server: looking often and looking once come to the same. */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileKeyPolicy } from "../../../simulator/iam/policy/compile.js";
import { dueAt } from "../../../simulator/kms/due-date.js";
import { importedMaterial } from "../../../simulator/kms/import/imported-material.js";
import type { KmsKey } from "../../../simulator/kms/key.js";
import { newKeyId } from "../../../simulator/kms/key.js";
import { advance } from "../../../simulator/kms/key-lifecycle.js";
import { newSymmetricMaterial } from "../../../simulator/kms/key-material.js";
import { firstMaterial } from "../../../simulator/kms/material-record.js";
import { Regions } from "../../../simulator/kms/regions.js";
import { scheduleFrom } from "../../../simulator/kms/rotation.js";
import { DAY, NOW } from "../fixtures.js";

const [HOME, AWAY] = ["us-east-1", "eu-west-1"] as const;
const policy = compileKeyPolicy(
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" }],
  }),
);
const later = (days: number) => new Date(NOW.getTime() + days * DAY);

function newKey(changes: Partial<KmsKey> = {}, region: string = HOME, keyId = newKeyId(true)): KmsKey {
  const material = newSymmetricMaterial();
  return {
    ...{ keyId, arn: `arn:aws:kms:${region}:111122223333:key/${keyId}`, accountId: "111122223333", creationDate: NOW },
    ...{
      description: "",
      keySpec: "SYMMETRIC_DEFAULT",
      keyUsage: "ENCRYPT_DECRYPT",
      origin: "AWS_KMS",
      state: "Enabled",
    },
    ...{ materials: [firstMaterial(material.id, material)], tags: new Map(), policy },
    ...changes,
  };
}

/** What may happen to a primary and its replica. */
interface Plan {
  readonly period: number;
  readonly replicaDeletion: number;
  readonly window: number;
}

function regionsWith({ period, replicaDeletion, window }: Plan): { regions: Regions; arns: readonly string[] } {
  const regions = new Regions(HOME);
  const rotation = scheduleFrom(NOW, period);
  const primary = newKey({ multiRegionKeyType: "PRIMARY", rotation });
  const { keyId, materials } = primary;
  const going = { state: "PendingDeletion", deletionDate: later(replicaDeletion) } as const;
  const replica = newKey({ multiRegionKeyType: "REPLICA", rotation, materials, ...going }, AWAY, keyId);
  regions.of(AWAY);
  regions.put(
    window % 2 === 0 ? primary : { ...primary, state: "PendingReplicaDeletion", pendingWindowInDays: window },
  );
  regions.put(replica);
  return { regions, arns: [primary.arn, replica.arn] };
}

/** All of a key but its secrets, which differ in every run. */
const shapeOf = (key: KmsKey | undefined) =>
  key && { ...key, keyId: "", arn: "", materials: key.materials.map(({ state, rotation }) => ({ state, rotation })) };

describe("time", () => {
  it("does the same in many steps as at once", () => {
    const plans = fc.record({
      ...{ period: fc.integer({ min: 90, max: 2560 }), replicaDeletion: fc.integer({ min: 7, max: 2000 }) },
      window: fc.integer({ min: 7, max: 30 }),
    });
    const steps = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(plans, steps, (plan, days) => {
        const [often, once] = [regionsWith(plan), regionsWith(plan)];
        let passed = 0;
        for (const day of days) {
          passed += day;
          advance(often.regions, later(passed));
        }
        advance(once.regions, later(passed));
        const shapesOf = ({ regions, arns }: typeof often) => arns.map((arn) => shapeOf(regions.find(arn)));
        expect(shapesOf(often)).toEqual(shapesOf(once));
        for (const arn of often.arns) {
          const due = dueAt(often.regions.find(arn) ?? newKey());
          if (due !== undefined) expect(due > later(passed)).toBe(true);
        }
      }),
    );
  });

  it("rotates a key as often as its period has passed, and shares the material with the replica", () => {
    const { regions, arns } = regionsWith({ period: 100, replicaDeletion: 1000, window: 8 });
    advance(regions, later(999));
    const [primary, replica] = arns.map((arn) => regions.find(arn)?.materials);
    expect(primary).toHaveLength(10);
    expect(replica).toEqual(primary);
    expect(primary?.filter(({ state }) => state === "CURRENT")).toEqual([primary?.at(-1)]);
  });

  it("takes imported materials away one by one", () => {
    const regions = new Regions(HOME);
    const key = newKey({ origin: "EXTERNAL" });
    const materials = [1, 2, 3].map((days) => {
      const { id, material } = importedMaterial(key, randomBytes(32));
      return {
        ...firstMaterial(id, material),
        state: days === 3 ? "CURRENT" : "NON_CURRENT",
        validTo: later(days),
      } as const;
    });
    regions.put({ ...key, materials });
    const imported = () => regions.find(key.arn)?.materials.map(({ material }) => material !== undefined);
    advance(regions, later(1));
    expect(imported()).toEqual([false, true, true]);
    expect(regions.find(key.arn)?.state).toBe("PendingImport");
    advance(regions, later(3));
    expect(imported()).toEqual([false, false, false]);
  });

  it("does nothing to a key that has nothing to come", () => {
    expect(dueAt(newKey())).toBeUndefined();
    const disabled = newKey({ state: "Disabled", rotation: scheduleFrom(NOW, 90) });
    expect(dueAt(disabled)).toBeUndefined();
  });
});
