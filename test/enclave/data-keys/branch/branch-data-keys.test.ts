/** Messages of the official format under branch keys, between a key store and a KMS that are told what to answer. */
import type { EncryptedDataKey } from "@aws-crypto/client-node";
import { describe, expect, it } from "vitest";
import { BranchDataKeys } from "../../../../enclave/data-keys/branch/branch-data-keys.js";
import { KmsDataKeys } from "../../../../enclave/data-keys/kms-data-keys.js";
import type { DataKeyUse } from "../../../../enclave/data-keys/source.js";
import { PinnedKeys } from "../../../../enclave/kms/pinned-keys.js";
import { Messages } from "../../../../enclave/messages/messages.js";
import { concatBytes, utf8 } from "../../../../shared/bytes.js";
import { KEY_ARN, OTHER_KEY_ARN, TestClock } from "../../fakes.js";
import { FakeKeyStore, LATER, LOGICAL_NAME, NEXT_VERSION, VERSION } from "./records.js";

const PLAINTEXT = utf8("a secret");
const KEYS = new PinnedKeys([
  { arn: KEY_ARN, aliases: [] },
  { arn: OTHER_KEY_ARN, aliases: [] },
]);
const KEY = KEYS.resolve(KEY_ARN);
const CONTEXT = { tenant: "a", record: "7", ü: "\u{1f511}", "\uffee": "" };

function setUp() {
  const clock = new TestClock();
  const store = new FakeKeyStore();
  for (const tenant of ["a", "b"]) store.make(tenant, VERSION);
  const dataKeys = new BranchDataKeys({
    ...{ key: KEY, storage: store, clock, logicalKeyStoreName: LOGICAL_NAME, tenantPair: "tenant" },
    isKmsKey: (arn) => arn === KEY_ARN,
    source: new KmsDataKeys(KEYS),
    limits: { maxAgeSeconds: 60, capacity: 10, refusalSeconds: 5 },
  });
  const noSuchCall = (): never => {
    throw new TypeError("KMS makes no data keys here");
  };
  const kms = { ...store.kms, encrypt: noSuchCall, generateDataKey: noSuchCall };
  const options = { maxEncryptedDataKeys: 4, requiredPairs: ["tenant"], tenantPair: "tenant" };
  const messages = new Messages({ dataKeys, kms: () => kms, ...options });
  const caller = { authorize: () => undefined, principalClass: "any" };
  const use: DataKeyUse = { keys: [KEY], partition: "p", kms };
  return {
    ...{ clock, store, dataKeys, use },
    make: async (encryptionContext: Readonly<Record<string, string>> = CONTEXT, signed = false) =>
      (await messages.make(PLAINTEXT, { ...caller, keys: [KEY], encryptionContext, signed })).message,
    open: (message: Uint8Array) => messages.open(message, { ...caller, expectedContext: {} }),
  };
}

/** A message with one text for another of the same length in its header. */
function withText(message: Uint8Array, from: string, to: string): Uint8Array {
  const at = Buffer.from(message).indexOf(from);
  expect(at).toBeGreaterThan(0);
  return concatBytes(message.subarray(0, at), utf8(to), message.subarray(at + utf8(from).length));
}

/** Where the encrypted data key begins in a message: after the provider's information. */
const wrappedAt = (message: Uint8Array): number => Buffer.from(message).indexOf("aws-kms-hierarchy") + 17 + 2 + 1 + 2;

describe("BranchDataKeys", () => {
  it.each([true, false])("makes messages and opens them (signed: %s), with one KMS call for all", async (signed) => {
    const { store, make, open } = setUp();
    for (let i = 0; i < 3; i++) {
      const opened = await open(await make({ ...CONTEXT, record: `${i}` }, signed));
      expect(opened.plaintext).toEqual(PLAINTEXT);
      expect(opened.encryptionContext).toMatchObject({ tenant: "a", record: `${i}` });
    }
    expect(store.decrypted).toHaveLength(1);
  });

  it("makes each message a data key of its own", async () => {
    const { make } = setUp();
    const [one, other] = [await make(), await make()];
    expect(Buffer.from(one).subarray(wrappedAt(one), wrappedAt(one) + 28)).not.toEqual(
      Buffer.from(other).subarray(wrappedAt(other), wrappedAt(other) + 28),
    );
  });

  it("opens messages of an older version when there is a newer one, which new messages are under", async () => {
    const { clock, store, make, open } = setUp();
    const old = await make();
    store.make("a", NEXT_VERSION, LATER);
    clock.advance(60_000);
    const fresh = await make();
    const versionIn = (message: Uint8Array): string =>
      Buffer.from(message)
        .subarray(wrappedAt(message) + 28, wrappedAt(message) + 44)
        .toString("hex");
    expect(versionIn(old)).toBe(VERSION.replaceAll("-", ""));
    expect(versionIn(fresh)).toBe(NEXT_VERSION.replaceAll("-", ""));
    expect((await open(old)).plaintext).toEqual(PLAINTEXT);
    expect((await open(fresh)).plaintext).toEqual(PLAINTEXT);
  });

  it("refuses a message whose data key names the branch key of another tenant, before any key is fetched (PITFALLS 3)", async () => {
    const { clock, store, make, open } = setUp();
    const message = await make();
    clock.advance(60_000);
    const before = store.asked.length;
    const spliced = withText(message, "aws-kms-hierarchy\0\u0001a", "aws-kms-hierarchy\0\u0001b");
    await expect(open(spliced)).rejects.toThrowCode("ERR_ENCRYPTION_CONTEXT");
    expect(store.asked).toHaveLength(before);
  });

  it("opens nothing of a message that was given the context, and the name, of another tenant", async () => {
    const { make, open } = setUp();
    const spliced = withText(await make(), "aws-kms-hierarchy\0\u0001a", "aws-kms-hierarchy\0\u0001b");
    const moved = withText(spliced, "tenant\0\u0001a", "tenant\0\u0001b");
    await expect(open(moved)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("opens nothing of a message with another context than it was made with", async () => {
    const { make, open } = setUp();
    await expect(open(withText(await make(), "record\0\u00017", "record\0\u00018"))).rejects.toThrowCode(
      "ERR_DECRYPTION_FAILED",
    );
  });

  it("refuses a version that there is not, and one that is no UUID of version 4", async () => {
    const { make, open } = setUp();
    const message = await make();
    const withVersion = (hex: string): Uint8Array => {
      const at = wrappedAt(message) + 28;
      return concatBytes(message.subarray(0, at), Buffer.from(hex, "hex"), message.subarray(at + 16));
    };
    const open16 = (hex: string) => open(withVersion(hex));
    await expect(open16(NEXT_VERSION.replaceAll("-", ""))).rejects.toThrowCode("ERR_BRANCH_KEY");
    await expect(open16("ff".repeat(16))).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect((await open16(VERSION.replaceAll("-", ""))).plaintext).toEqual(PLAINTEXT);
  });

  it("opens nothing with a data key that was changed, at whichever byte", async () => {
    const { make, open } = setUp();
    const message = await make();
    const at = wrappedAt(message);
    for (const offset of [0, 15, 16, 27, 44, 75, 76, 91]) {
      const changed = Uint8Array.from(message);
      changed[at + offset] = (changed[at + offset] ?? 0) ^ 1;
      await expect(open(changed)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
    }
  });

  it.each([
    ["is missing", { record: "7" }],
    ["is empty", { tenant: "" }],
    ["is half a surrogate pair", { tenant: "\ud83d" }],
    ["is too long", { tenant: "a".repeat(513) }],
  ])("refuses a context whose tenant %s, made or opened", async (_, encryptionContext) => {
    const { dataKeys, use } = setUp();
    const request = { encryptionContext, commitmentPolicy: "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" };
    await expect(dataKeys.encryptMaterials(request, use)).rejects.toThrowCode("ERR_ENCRYPTION_CONTEXT");
    const edk: EncryptedDataKey = {
      ...{ providerId: "aws-kms-hierarchy", providerInfo: "a" },
      encryptedDataKey: new Uint8Array(92),
    };
    expect(() => dataKeys.keyOf(edk, encryptionContext)).toThrowCode("ERR_ENCRYPTION_CONTEXT");
  });

  it("makes no message for further keys, nor for others alone", async () => {
    const { dataKeys, use } = setUp();
    const request = { encryptionContext: CONTEXT, commitmentPolicy: "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" };
    for (const keys of [[KEY, KEYS.resolve(OTHER_KEY_ARN)], [KEYS.resolve(OTHER_KEY_ARN)], []]) {
      await expect(dataKeys.encryptMaterials(request, { ...use, keys })).rejects.toThrowCode("ERR_KMS_KEY");
    }
    await dataKeys.encryptMaterials(request, use);
  });

  it("overwrites its keys on demand", async () => {
    const { dataKeys, make } = setUp();
    await make();
    expect(dataKeys.held).toBe(2);
    dataKeys.wipe();
    expect(dataKeys.held).toBe(0);
  });
});
