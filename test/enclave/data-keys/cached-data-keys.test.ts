/** Data key caching: how long, how many messages and bytes, for whom, and what is left when a key leaves. */
import type { NodeEncryptionMaterial } from "@aws-crypto/client-node";
import { NodeAlgorithmSuite } from "@aws-crypto/client-node";
import { describe, expect, it } from "vitest";
import type { CachingLimits } from "../../../enclave/data-keys/cached-data-keys.js";
import { CachedDataKeys } from "../../../enclave/data-keys/cached-data-keys.js";
import { KmsDataKeys } from "../../../enclave/data-keys/kms-data-keys.js";
import type { DataKeyUse } from "../../../enclave/data-keys/source.js";
import { ServiceError } from "../../../shared/errors.js";
import { SUITE } from "../esdk.js";
import { settle, TestClock, testKeys } from "../fakes.js";
import { TableKms, toDecrypt, toEncrypt, useOf } from "./table-kms.js";

const LIMITS: CachingLimits = { maxAgeSeconds: 60, maxMessages: 3, maxBytes: 1_000, capacity: 2 };

function setUp(limits: Partial<CachingLimits> = {}) {
  const table = new TableKms();
  const clock = new TestClock();
  const source = new KmsDataKeys(testKeys());
  const cached = new CachedDataKeys({ source, clock, limits: { ...LIMITS, ...limits } });
  const use = (changes: Partial<DataKeyUse> = {}) => useOf(table, changes);
  const make = (request: Parameters<typeof toEncrypt>[0] = {}, changes: Partial<DataKeyUse> = {}) =>
    cached.encryptMaterials(toEncrypt(request), use(changes));
  const open = (made: NodeEncryptionMaterial, changes: Partial<DataKeyUse> = {}) =>
    cached.decryptMaterials(toDecrypt(made), use(changes));
  return { table, clock, cached, use, make, open, asked: () => table.calls.length };
}

/** Materials of a message that exists, and a table that has been asked nothing yet. */
async function withMessage(limits: Partial<CachingLimits> = {}) {
  const parts = setUp(limits);
  const made = await new KmsDataKeys(testKeys()).encryptMaterials(toEncrypt(), parts.use());
  parts.table.calls.length = 0;
  return { ...parts, made };
}

const allOverwritten = ({ handedOut }: TableKms): boolean => handedOut.every((key) => key.every((byte) => byte === 0));

describe("a data key for new messages", () => {
  it("serves several, under the same wrapped key, and not more messages than it may", async () => {
    const { make, asked } = setUp();
    const [first, second, third] = [await make(), await make(), await make()];
    expect(asked()).toBe(1);
    expect(second?.encryptedDataKeys).toEqual(first?.encryptedDataKeys);
    expect(third?.encryptedDataKeys).toEqual(first?.encryptedDataKeys);
    const fourth = await make();
    expect(asked()).toBe(2);
    expect(fourth.encryptedDataKeys).not.toEqual(first?.encryptedDataKeys);
  });

  it("serves one message alone where that is the limit", async () => {
    const { make, asked } = setUp({ maxMessages: 1 });
    await make();
    await make();
    expect(asked()).toBe(2);
  });

  it("encrypts no more bytes than it may", async () => {
    const { make, asked } = setUp();
    await make({ plaintextLength: 600 });
    await make({ plaintextLength: 400 });
    expect(asked()).toBe(1);
    await make({ plaintextLength: 1 });
    expect(asked()).toBe(2);
  });

  it("is not kept for a message that alone has more bytes, nor for a stream, whose bytes nobody knows", async () => {
    const { make, asked } = setUp();
    await make({ plaintextLength: 1_001 });
    await make({ plaintextLength: 1_001 });
    expect(asked()).toBe(2);
    const { plaintextLength: _, ...stream } = toEncrypt();
    const { cached, use, asked: askedForStreams } = setUp();
    await cached.encryptMaterials(stream, use());
    await cached.encryptMaterials(stream, use());
    expect(askedForStreams()).toBe(2);
  });

  it("pitfall 12: is used until it is too old by the monotonic clock", async () => {
    const { make, clock, asked } = setUp();
    await make();
    clock.advance(59_999);
    await make();
    expect(asked()).toBe(1);
    clock.advance(1);
    await make();
    expect(asked()).toBe(2);
  });

  it.each<[string, Parameters<typeof toEncrypt>[0], Partial<DataKeyUse>]>([
    ["partition", {}, { partition: "tenant b" }],
    ["encryption context", { encryptionContext: { tenant: "a", purpose: "x" } }, {}],
    ["suite", { suite: new NodeAlgorithmSuite(SUITE.committedSigned) }, {}],
  ])("serves no message of another %s", async (_, request, changes) => {
    const { make, asked } = setUp();
    const first = await make();
    const other = await make(request, changes);
    expect(asked()).toBe(2);
    expect(other.encryptedDataKeys).not.toEqual(first.encryptedDataKeys);
    await make();
    await make(request, changes);
    expect(asked()).toBe(2);
  });

  it("without key commitment is not kept: its suite allows that for one message alone", async () => {
    const { make, asked } = setUp();
    const request = {
      suite: new NodeAlgorithmSuite(0x0014),
      commitmentPolicy: "FORBID_ENCRYPT_ALLOW_DECRYPT",
    };
    await make(request);
    await make(request);
    expect(asked()).toBe(2);
  });
});

describe("a data key of messages that exist", () => {
  it("is fetched once for its message, until it is too old", async () => {
    const { made, open, clock, asked } = await withMessage();
    for (let times = 0; times < 10; times++) await open(made);
    clock.advance(59_999);
    await open(made);
    expect(asked()).toBe(1);
    clock.advance(1);
    await open(made);
    expect(asked()).toBe(2);
  });

  it("is fetched anew for another partition", async () => {
    const { made, open, asked } = await withMessage();
    await open(made);
    await open(made, { partition: "tenant b" });
    expect(asked()).toBe(2);
  });

  it("is not taken for a message that claims another context", async () => {
    const { made, cached, use, asked } = await withMessage();
    await cached.decryptMaterials(toDecrypt(made), use());
    await cached.decryptMaterials(toDecrypt(made, { encryptionContext: { tenant: "b" } }), use());
    expect(asked()).toBe(2);
  });

  it("leaves when others need its place: the one that was not used for longest", async () => {
    const { made, open, asked } = await withMessage();
    await open(made, { partition: "1" });
    await open(made, { partition: "2" });
    await open(made, { partition: "1" });
    await open(made, { partition: "3" });
    expect(asked()).toBe(3);
    await open(made, { partition: "1" });
    expect(asked()).toBe(3);
    await open(made, { partition: "2" });
    expect(asked()).toBe(4);
  });
});

describe("many who miss the same key at once", () => {
  it("make one call for it, and all get it", async () => {
    const { made, open, asked } = await withMessage();
    const opened = await Promise.all(Array.from({ length: 50 }, () => open(made)));
    expect(asked()).toBe(1);
    expect(opened.every(({ hasUnencryptedDataKey }) => hasUnencryptedDataKey)).toBe(true);
    const { make, asked: askedToMake } = setUp({ maxMessages: 100, maxBytes: 10_000 });
    await Promise.all(Array.from({ length: 50 }, () => make()));
    expect(askedToMake()).toBe(1);
  });

  it("count each message, also those that come at once", async () => {
    const { make, asked } = setUp({ maxMessages: 10 });
    const made = await Promise.all(Array.from({ length: 25 }, () => make()));
    expect(asked()).toBe(3);
    const uses = new Map<string, number>();
    for (const { encryptedDataKeys } of made) {
      const key = Buffer.from(encryptedDataKeys[0]?.encryptedDataKey ?? []).toString("hex");
      uses.set(key, (uses.get(key) ?? 0) + 1);
    }
    expect([...uses.values()].sort()).toEqual([10, 10, 5].sort());
  });

  it("do not share a failure: the next one tries, and its key serves the rest", async () => {
    const { table, made, open, asked } = await withMessage();
    table.before = async () => {
      if (table.calls.length === 1) throw new ServiceError("ERR_KMS_UNAVAILABLE", "not now");
    };
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => open(made)));
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", ...Array(4).fill("fulfilled")]);
    expect(asked()).toBe(2);
  });

  it("wait no longer than their signal says", async () => {
    const { table, made, open, asked } = await withMessage();
    let answer: () => void = () => undefined;
    table.before = () => new Promise((resolve) => (answer = resolve));
    const first = open(made);
    await settle();
    const leaving = new AbortController();
    const second = open(made, { signal: leaving.signal });
    leaving.abort();
    await expect(second).rejects.toThrowCode("ERR_TIMEOUT");
    answer();
    await expect(first).resolves.toBeDefined();
    expect(asked()).toBe(1);
  });
});

describe("what is left of a data key", () => {
  it("KMS's own bytes are overwritten as soon as they are kept elsewhere", async () => {
    const { table, made, make, open } = await withMessage();
    await make();
    await open(made);
    expect(table.handedOut.length).toBeGreaterThan(2);
    expect(allOverwritten(table)).toBe(true);
  });

  it("what somebody was given stays good when the key leaves, and is his to overwrite", async () => {
    const { made, cached, open, make } = await withMessage();
    const [opened, making] = [await open(made), await make()];
    cached.wipe();
    expect([opened.hasUnencryptedDataKey, making.hasUnencryptedDataKey]).toEqual([true, true]);
    opened.zeroUnencryptedDataKey();
    expect((await open(made)).hasUnencryptedDataKey).toBe(true);
  });

  it("somebody who overwrites his does not overwrite that of others", async () => {
    const { made, open, asked } = await withMessage();
    (await open(made)).zeroUnencryptedDataKey();
    expect((await open(made)).hasUnencryptedDataKey).toBe(true);
    expect(asked()).toBe(1);
  });
});

describe("wipe", () => {
  it("lets go of all keys: the next messages fetch them anew", async () => {
    const { made, cached, open, make, clock, asked } = await withMessage();
    await open(made);
    await make();
    cached.wipe();
    expect(clock.waiting).toBe(0);
    await open(made);
    await make();
    expect(asked()).toBe(4);
  });

  it("while a key is being fetched serves who asked for it before, and keeps nothing", async () => {
    const { table, made, cached, open, asked } = await withMessage();
    let answer: () => void = () => undefined;
    table.before = () => new Promise((resolve) => (answer = resolve));
    const underWay = open(made);
    await settle();
    cached.wipe();
    answer();
    expect((await underWay).hasUnencryptedDataKey).toBe(true);
    table.before = async () => undefined;
    await open(made);
    expect(asked()).toBe(2);
  });

  it("while several wait for a key, those that had not asked yet fetch their own", async () => {
    const { table, made, cached, open, asked } = await withMessage();
    let answer: () => void = () => undefined;
    table.before = () => new Promise((resolve) => (answer = resolve));
    const [first, second] = [open(made), open(made)];
    await settle();
    cached.wipe();
    table.before = async () => undefined;
    answer();
    await Promise.all([first, second]);
    expect(asked()).toBe(2);
  });
});
