/** What calls cost by AWS's list, and what is free. */
import { describe, expect, it } from "vitest";
import type { AuditRecord } from "../../../simulator/cloudtrail/records.js";
import { recordOf } from "../../../simulator/cloudtrail/records.js";
import type { PricedKey } from "../../../simulator/cost/cost-meter.js";
import { CostMeter } from "../../../simulator/cost/cost-meter.js";
import { AwsError } from "../../../simulator/errors.js";
import { NOW } from "../fixtures.js";

const HOME = { region: "us-east-1", accountId: "111122223333" };
const ARN = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000001";

function call(eventName: string, parameters: object = {}, { now = NOW, failed = false, arn = ARN } = {}): AuditRecord {
  const trace = {
    parameters: { ...parameters },
    resources: [{ arn, accountId: HOME.accountId }],
    recipient: undefined,
  };
  const error = failed ? new AwsError("DisabledException") : undefined;
  return recordOf({ eventName, readOnly: true, requestId: "", now, sourceIp: "", userAgent: "", trace, error }, HOME);
}

function priceOf(record: AuditRecord, keySpec?: string) {
  const meter = new CostMeter();
  meter.add(record, () => keySpec);
  const { lines } = meter.report([]);
  return [lines[0]?.priceClass, (lines[0]?.price ?? 0) * 10_000];
}

describe("the price of a call", () => {
  it.each([
    ["Decrypt", "SYMMETRIC_DEFAULT", {}, ["standard", 0.03]],
    ["GenerateMac", "HMAC_256", {}, ["standard", 0.03]],
    ["Decrypt", "RSA_2048", {}, ["RSA 2048", 0.03]],
    ["Decrypt", "RSA_4096", {}, ["asymmetric", 0.15]],
    ["Sign", "ECC_NIST_P256", {}, ["asymmetric", 0.15]],
    ["Encapsulate", "ML_KEM_768", {}, ["asymmetric", 0.15]],
    ["Decapsulate", "ML_KEM_768", {}, ["asymmetric", 0.15]],
    ["GetPublicKey", "ML_DSA_44", {}, ["asymmetric", 0.15]],
    ["DescribeKey", "ECC_NIST_P256", {}, ["standard", 0.03]],
    ["GenerateDataKeyPair", "SYMMETRIC_DEFAULT", { KeyPairSpec: "RSA_2048" }, ["RSA data key pair", 12]],
    [
      "GenerateDataKeyPairWithoutPlaintext",
      "SYMMETRIC_DEFAULT",
      { KeyPairSpec: "ECC_NIST_P256" },
      ["ECC data key pair", 0.1],
    ],
    ["Sign", undefined, {}, ["asymmetric", 0.15]],
    ["Decrypt", undefined, { EncryptionAlgorithm: "RSAES_OAEP_SHA_256" }, ["asymmetric", 0.15]],
    ["Decrypt", undefined, {}, ["standard", 0.03]],
  ])("of %s with a key of spec %s", (operation, keySpec, parameters, [priceClass, price]) => {
    const [actualClass, actualPrice] = priceOf(call(operation, parameters), keySpec);
    expect(actualClass).toBe(priceClass);
    expect(actualPrice).toBeCloseTo(Number(price), 10);
  });

  it("is nothing when it was refused", () => {
    const meter = new CostMeter();
    meter.add(call("Decrypt", {}, { failed: true }), () => "SYMMETRIC_DEFAULT");
    meter.add(call("Decrypt"), () => "SYMMETRIC_DEFAULT");
    const { lines, ...total } = meter.report([]);
    expect(lines).toEqual([
      { key: ARN, operation: "Decrypt", priceClass: "standard", calls: 1, failedCalls: 1, price: 0.000003 },
    ]);
    expect(total).toMatchObject({ calls: 1, failedCalls: 1, price: 0.000003, priceAfterFreeTier: 0 });
  });
});

describe("the report", () => {
  it("takes 20,000 standard requests off each month, and none of any other class", () => {
    const meter = new CostMeter();
    const months = ["2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z"].map((time) => new Date(time));
    for (const now of months) {
      const decrypt = call("Decrypt", {}, { now });
      for (let i = 0; i < 30_000; i++) meter.add(decrypt, () => "SYMMETRIC_DEFAULT");
    }
    const sign = call("Sign");
    for (let i = 0; i < 10_000; i++) meter.add(sign, () => "ECC_NIST_P256");
    const { price, priceAfterFreeTier } = meter.report([]);
    expect(price).toBeCloseTo(0.18 + 0.15, 10);
    expect(priceAfterFreeTier).toBeCloseTo(0.06 + 0.15, 10);
  });

  it("has the dearest line first, and calls without a key apart", () => {
    const meter = new CostMeter();
    meter.add(call("GenerateRandom", {}, { arn: "*" }), () => undefined);
    meter.add(call("Sign"), () => "RSA_4096");
    expect(meter.report([]).lines.map(({ key, operation }) => [key, operation])).toEqual([
      [ARN, "Sign"],
      [undefined, "GenerateRandom"],
    ]);
  });

  it("knows what keys cost a month: one dollar, two rotations at most, nothing while they wait to be deleted", () => {
    const key = (state: string, materials: number) => ({
      ...{ arn: ARN, keySpec: "SYMMETRIC_DEFAULT", state },
      materials: Array.from({ length: materials }, (_, i) => (i === 0 ? {} : { rotation: { type: "AUTOMATIC" } })),
    });
    const keys = [key("Enabled", 1), key("Disabled", 2), key("Enabled", 5), key("PendingImport", 0)];
    expect(new CostMeter().report([...keys, key("PendingDeletion", 3)]).keys).toEqual({
      count: 4,
      rotations: 3,
      pricePerMonth: 7,
    });
  });

  it("does not count imported material that has not been rotated to yet", () => {
    const materials: PricedKey["materials"] = [{}, {}];
    const key = { arn: ARN, keySpec: "SYMMETRIC_DEFAULT", state: "Enabled", materials };
    expect(new CostMeter().report([key]).keys).toEqual({ count: 1, rotations: 0, pricePerMonth: 1 });
  });

  it("leaves out what is no call of KMS", () => {
    const meter = new CostMeter();
    meter.add({ ...call("LookupEvents"), eventSource: "cloudtrail.amazonaws.com" }, () => undefined);
    expect(meter.report([]).lines).toEqual([]);
  });

  it("counts a call to another account's key once, by the caller's record", () => {
    const meter = new CostMeter();
    for (const type of ["AssumedRole", "AWSAccount"]) {
      meter.add({ ...call("Encrypt"), userIdentity: { type } }, () => "SYMMETRIC_DEFAULT");
    }
    expect(meter.report([]).calls).toBe(1);
  });
});
