/** A data key from KMS for every message: which calls are made for which keys. */
import { describe, expect, it } from "vitest";
import { KmsDataKeys } from "../../../enclave/data-keys/kms-data-keys.js";
import { ServiceError } from "../../../shared/errors.js";
import { FOREIGN_KEY_ARN, KEY_ARN, OTHER_KEY_ARN, testKeys } from "../fakes.js";
import { TableKms, toDecrypt, toEncrypt, useOf } from "./table-kms.js";

const keys = testKeys();
const both = [keys.resolve(KEY_ARN), keys.resolve(OTHER_KEY_ARN)];

describe("keyOf", () => {
  const source = new KmsDataKeys(keys);
  const wrapped = { providerId: "aws-kms", providerInfo: KEY_ARN, encryptedDataKey: new Uint8Array() };

  it("is the key of the configuration whose ARN stands there", () => {
    expect(source.keyOf(wrapped)).toBe(both[0]);
  });

  it.each([
    ["another provider", { providerId: "aws-kms-hierarchy" }],
    ["a key that is not pinned", { providerInfo: FOREIGN_KEY_ARN }],
    ["pitfall 4: an alias", { providerInfo: "alias/payments" }],
    ["pitfall 4: a key id", { providerInfo: KEY_ARN.split("/")[1] ?? "" }],
    ["pitfall 4: the same key in another Region", { providerInfo: KEY_ARN.replace("us-east-1", "eu-west-1") }],
  ])("is none of %s", (_, changes) => {
    expect(source.keyOf({ ...wrapped, ...changes })).toBeUndefined();
  });
});

describe("data keys", () => {
  it("are made by the first key, and put under each further one", async () => {
    const table = new TableKms();
    const made = await new KmsDataKeys(keys).encryptMaterials(toEncrypt(), useOf(table, { keys: both }));
    expect(table.calls).toEqual([`GenerateDataKey ${KEY_ARN}`, `Encrypt ${OTHER_KEY_ARN}`]);
    expect(made.encryptedDataKeys.map(({ providerInfo }) => providerInfo)).toEqual([KEY_ARN, OTHER_KEY_ARN]);
  });

  it("are opened by the first key that answers, and by those alone that may be used", async () => {
    const table = new TableKms();
    const source = new KmsDataKeys(keys);
    const made = await source.encryptMaterials(toEncrypt(), useOf(table, { keys: both }));
    table.calls.length = 0;
    await source.decryptMaterials(toDecrypt(made), useOf(table, { keys: both }));
    await source.decryptMaterials(toDecrypt(made), useOf(table, { keys: both.slice(1) }));
    expect(table.calls).toEqual([`Decrypt ${KEY_ARN}`, `Decrypt ${OTHER_KEY_ARN}`]);
    table.before = async () => {
      if (table.calls.at(-1)?.endsWith(KEY_ARN)) throw new ServiceError("ERR_KMS_DENIED", "no");
    };
    await source.decryptMaterials(toDecrypt(made), useOf(table, { keys: both }));
    expect(table.calls.slice(2)).toEqual([`Decrypt ${KEY_ARN}`, `Decrypt ${OTHER_KEY_ARN}`]);
  });

  it("for no key at all is a programmer's error", async () => {
    const table = new TableKms();
    const asked = async () => new KmsDataKeys(keys).encryptMaterials(toEncrypt(), useOf(table, { keys: [] }));
    await expect(asked()).rejects.toBeInstanceOf(TypeError);
    expect(new KmsDataKeys(keys).wipe()).toBeUndefined();
  });
});
