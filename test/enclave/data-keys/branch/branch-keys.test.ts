/** Opening, lending and keeping branch keys, between a key store that lies and a KMS that is told what to answer. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { BranchKeysOptions } from "../../../../enclave/data-keys/branch/branch-keys.js";
import { BranchKeys } from "../../../../enclave/data-keys/branch/branch-keys.js";
import { ExpiringCache } from "../../../../enclave/expiring-cache.js";
import { isAllZero } from "../../../../shared/bytes.js";
import type { ErrorCode } from "../../../../shared/errors.js";
import { ServiceError } from "../../../../shared/errors.js";
import { FOREIGN_KEY_ARN, KEY_ARN, settle, TestClock } from "../../fakes.js";
import { CREATED, FakeKeyStore, item, LATER, LOGICAL_NAME, NEXT_VERSION, VERSION } from "./records.js";

const ACTIVE = { branchKeyId: "a" };
const OF_VERSION = { branchKeyId: "a", version: VERSION };

function setUp(limits: Partial<BranchKeysOptions["limits"]> = {}) {
  const clock = new TestClock();
  const store = new FakeKeyStore();
  store.make("a", VERSION);
  const keys = new BranchKeys({
    ...{
      clock,
      storage: store,
      keyArn: KEY_ARN,
      isKmsKey: (arn: string) => arn === KEY_ARN,
      logicalKeyStoreName: LOGICAL_NAME,
    },
    tenantPair: "tenant",
    limits: { maxAgeSeconds: 60, capacity: 10, refusalSeconds: 5, ...limits },
  });
  const borrow = (wanted: { branchKeyId: string; version?: string } = ACTIVE) =>
    keys.borrow(wanted, { kms: store.kms });
  return { clock, store, keys, borrow };
}

describe("BranchKeys", () => {
  it("opens the active key with its whole record as the encryption context", async () => {
    const { store, borrow } = setUp();
    const borrowed = await borrow();
    expect(borrowed.branchKeyIdentifier).toBe("a");
    expect(borrowed.branchKeyVersion.toString()).toBe(VERSION);
    expect(isAllZero(borrowed.branchKey())).toBe(false);
    expect(store.decrypted).toEqual([
      {
        "branch-key-id": "a",
        type: "branch:ACTIVE",
        version: `branch:version:${VERSION}`,
        "create-time": CREATED,
        "hierarchy-version": "1",
        "kms-arn": KEY_ARN,
        "aws-crypto-ec:tenant": "a",
        tablename: LOGICAL_NAME,
      },
    ]);
  });

  it("lends copies: what one borrower overwrites is still there for the next, and KMS's own answer is overwritten", async () => {
    const { store, borrow } = setUp();
    const first = await borrow();
    const bytes = Uint8Array.from(first.branchKey());
    first.zeroUnencryptedDataKey();
    expect(Uint8Array.from((await borrow()).branchKey())).toEqual(bytes);
    expect(store.decrypted).toHaveLength(1);
    expect(store.plaintexts.every(isAllZero)).toBe(true);
  });

  it("knows the version of an active key without another call, and not the other way round", async () => {
    const { store, borrow } = setUp();
    const active = await borrow();
    const ofVersion = await borrow(OF_VERSION);
    expect(store.decrypted).toHaveLength(1);
    expect(active.branchKey().equals(ofVersion.branchKey())).toBe(true);
    const other = setUp();
    await other.borrow(OF_VERSION);
    await other.borrow();
    expect(other.store.asked).toEqual([`branch:version:${VERSION}`, "branch:ACTIVE"]);
  });

  it("makes one KMS call for all who ask for the same key at a time", async () => {
    const { store, borrow } = setUp();
    const borrowed = await Promise.all(Array.from({ length: 50 }, () => borrow()));
    expect(store.decrypted).toHaveLength(1);
    expect(new Set(borrowed.map((material) => material.branchKey().toString("hex"))).size).toBe(1);
    expect(new Set(borrowed.map((material) => material.branchKey())).size).toBe(50);
    expect(store.plaintexts.every(isAllZero)).toBe(true);
  });

  it("serves all who wait even where there is no room for what they opened", async () => {
    const { store, borrow } = setUp({ capacity: 1 });
    store.make("b", NEXT_VERSION);
    const asked = ["a", "b", "a", "b"];
    const borrowed = await Promise.all(asked.map((branchKeyId) => borrow({ branchKeyId })));
    expect(borrowed.map((material) => material.branchKeyIdentifier)).toEqual(asked);
    expect(borrowed.some((material) => isAllZero(material.branchKey()))).toBe(false);
    expect(new Set(borrowed.map((material) => material.branchKey().toString("hex"))).size).toBe(2);
  });

  it("keeps as many keys as there is room for, the least recently used leaving first", async () => {
    const { store, keys, borrow } = setUp({ capacity: 4 });
    for (const id of ["b", "c"]) store.make(id, VERSION);
    for (const branchKeyId of ["a", "b", "a", "c"]) await borrow({ branchKeyId });
    expect(keys.held).toBe(4);
    await borrow();
    expect(store.decrypted).toHaveLength(3);
    await borrow(OF_VERSION);
    expect(store.decrypted).toHaveLength(4);
  });

  it("lets whoever waits for another's call go when his own signal fires", async () => {
    const { store, keys, borrow } = setUp();
    let resolve: (answer: { Plaintext: Uint8Array }) => void = () => undefined;
    store.decryptAnswer = () =>
      new Promise((given) => {
        resolve = given;
      });
    const first = borrow();
    const controller = new AbortController();
    const second = keys.borrow(ACTIVE, { kms: store.kms, signal: controller.signal });
    await settle();
    controller.abort(new ServiceError("ERR_TIMEOUT", "gone"));
    await expect(second).rejects.toThrowCode("ERR_TIMEOUT");
    resolve({ Plaintext: new Uint8Array(32).fill(7) });
    await first;
  });

  it("never gives one tenant the key of another, whatever their names are made of", async () => {
    const { store, borrow } = setUp();
    const ids = ["b", "a ", 'a","', "a\u0000", "branch:ACTIVE"];
    for (const id of ids) store.make(id, VERSION);
    const keys = await Promise.all([...ids, "a"].map((branchKeyId) => borrow({ branchKeyId })));
    expect(new Set(keys.map((material) => material.branchKey().toString("hex"))).size).toBe(6);
    expect(keys.map((material) => material.branchKeyIdentifier)).toEqual([...ids, "a"]);
  });

  describe("ages", () => {
    it("asks anew when a key has reached its age by the monotonic clock", async () => {
      const { clock, store, keys, borrow } = setUp();
      await borrow();
      clock.advance(59_999);
      await borrow();
      expect(store.decrypted).toHaveLength(1);
      clock.advance(1);
      expect(keys.held).toBe(0);
      await borrow();
      expect(store.decrypted).toHaveLength(2);
    });

    it("counts the time that KMS took", async () => {
      const { clock, store, keys, borrow } = setUp();
      const { Plaintext } = await store.kms.decrypt({
        CiphertextBlob: Buffer.from(String(store.get(ACTIVE).enc?.B), "base64"),
      });
      store.decryptAnswer = async () => {
        clock.advance(60_000);
        return { Plaintext: Uint8Array.from(Plaintext ?? []) };
      };
      await borrow();
      expect(keys.held).toBe(0);
    });

    it("stops serving a tenant whose records are gone, within the age", async () => {
      const { clock, store, borrow } = setUp();
      await borrow();
      store.remove(ACTIVE);
      store.remove(OF_VERSION);
      await borrow();
      clock.advance(60_000);
      await expect(borrow()).rejects.toThrowCode("ERR_BRANCH_KEY");
      await expect(borrow(OF_VERSION)).rejects.toThrowCode("ERR_BRANCH_KEY");
    });

    it("overwrites all keys on demand, and does not keep what was being opened", async () => {
      const { store, keys, borrow } = setUp();
      await borrow();
      expect(keys.held).toBe(2);
      keys.wipe();
      expect(keys.held).toBe(0);
      const late = borrow();
      keys.wipe();
      expect(isAllZero((await late).branchKey())).toBe(false);
      expect(keys.held).toBe(0);
      await borrow();
      expect(store.decrypted).toHaveLength(3);
    });

    it("does not let whoever asks after a wipe share a call from before it", async () => {
      const { store, keys, borrow } = setUp();
      const before = borrow();
      keys.wipe();
      await Promise.all([before, borrow()]);
      expect(store.decrypted).toHaveLength(2);
    });
  });

  describe("refusals", () => {
    const denied = async (): Promise<never> => {
      throw new ServiceError("ERR_KMS_DENIED", "denied");
    };

    it("asks KMS once in refusalSeconds for a key that it will not release", async () => {
      const { clock, store, borrow } = setUp();
      store.decryptAnswer = denied;
      const both = await Promise.allSettled([borrow(), borrow()]);
      expect(both).toMatchObject([{ reason: { code: "ERR_KMS_DENIED" } }, { reason: { code: "ERR_KMS_DENIED" } }]);
      await expect(borrow()).rejects.toThrowCode("ERR_KMS_DENIED");
      expect(store.decrypted).toHaveLength(1);
      clock.advance(5_000);
      store.decryptAnswer = undefined;
      await borrow();
      expect(store.decrypted).toHaveLength(2);
    });

    it("keeps the code and the message of a refusal, and nothing of its cause", async () => {
      const { store, borrow } = setUp();
      store.decryptAnswer = async () => {
        throw new ServiceError("ERR_KMS_DENIED", "denied", { cause: new Error("all that KMS answered") });
      };
      const keeping = vi.spyOn(ExpiringCache.prototype, "set");
      onTestFinished(() => keeping.mockRestore());
      await expect(borrow()).rejects.toMatchObject({ code: "ERR_KMS_DENIED", cause: expect.any(Error) });
      expect(keeping.mock.calls.map(([, kept]) => kept)).toEqual([{ code: "ERR_KMS_DENIED", message: "denied" }]);
      const again = await borrow().catch((error: unknown) => error);
      expect(again).toMatchObject({ code: "ERR_KMS_DENIED", message: "denied, a moment ago" });
      expect((again as Error).cause).toBeUndefined();
    });

    it("asks the store once in refusalSeconds for a version that there is not, and KMS never", async () => {
      const { store, borrow } = setUp();
      const unknown = { branchKeyId: "a", version: NEXT_VERSION };
      await expect(borrow(unknown)).rejects.toThrowCode("ERR_BRANCH_KEY");
      await expect(borrow(unknown)).rejects.toThrowCode("ERR_BRANCH_KEY");
      expect([store.asked.length, store.decrypted.length]).toEqual([1, 0]);
    });

    it("holds nothing against a key when KMS could not be reached", async () => {
      const { store, borrow } = setUp();
      store.decryptAnswer = async () => {
        throw new ServiceError("ERR_KMS_UNAVAILABLE", "down");
      };
      await expect(borrow()).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
      store.decryptAnswer = undefined;
      await borrow();
    });

    it("asks once more for whoever waited for a request that reached its deadline", async () => {
      const { store, borrow } = setUp();
      const unanswered = async (): Promise<never> => {
        store.decryptAnswer = undefined;
        throw new ServiceError("ERR_TIMEOUT", "the caller's deadline");
      };
      store.decryptAnswer = unanswered;
      const [first, ...others] = await Promise.allSettled([borrow(), borrow(), borrow()]);
      expect(first).toMatchObject({ status: "rejected", reason: { code: "ERR_TIMEOUT" } });
      expect(others.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
      expect(store.decrypted).toHaveLength(2);
    });

    it.each([
      ["nothing", undefined],
      ["a key that is too short", new Uint8Array(31).fill(7)],
      ["a key that is too long", new Uint8Array(33).fill(7)],
    ])("refuses %s as the plaintext, and overwrites it", async (_, Plaintext) => {
      const { store, borrow } = setUp();
      store.decryptAnswer = async () => (Plaintext ? { Plaintext } : {});
      await expect(borrow()).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
      expect(isAllZero(Plaintext ?? new Uint8Array())).toBe(true);
    });
  });

  describe("rollback (PITFALLS 27)", () => {
    it("refuses an active record that is older than one seen before, and keeps what it has", async () => {
      const { clock, store, keys, borrow } = setUp();
      const old = store.get(ACTIVE);
      store.make("a", NEXT_VERSION, LATER);
      await borrow();
      clock.advance(60_000);
      store.put(ACTIVE, old);
      await borrow({ branchKeyId: "a", version: NEXT_VERSION });
      await expect(borrow()).rejects.toThrowCode("ERR_ROLLBACK");
      expect(keys.held).toBe(1);
      expect(store.plaintexts.every(isAllZero)).toBe(true);
      await borrow(OF_VERSION); // what was encrypted under the old version opens as before
    });

    it("remembers it after its keys were wiped, and takes the newer record when it is back", async () => {
      const { store, keys, borrow } = setUp();
      const old = store.get(ACTIVE);
      store.make("a", NEXT_VERSION, LATER);
      const fresh = store.get(ACTIVE);
      await borrow();
      keys.wipe();
      store.put(ACTIVE, old);
      await expect(borrow()).rejects.toThrowCode("ERR_ROLLBACK");
      keys.wipe();
      store.put(ACTIVE, fresh);
      expect((await borrow()).branchKeyVersion.toString()).toBe(NEXT_VERSION);
    });

    it("believes no time that KMS has not authenticated", async () => {
      const { clock, store, borrow } = setUp();
      const genuine = store.get(ACTIVE);
      store.put(ACTIVE, item({ "create-time": { S: "2030-01-01T00:00:00Z" } }));
      store.decryptAnswer = async () => {
        throw new ServiceError("ERR_KMS_REFUSED", "InvalidCiphertextException");
      };
      await expect(borrow()).rejects.toThrowCode("ERR_KMS_REFUSED");
      clock.advance(5_000);
      store.decryptAnswer = undefined;
      store.put(ACTIVE, genuine);
      await borrow();
    });
  });

  describe("a store that lies", () => {
    const answers: readonly [string, unknown, ErrorCode][] = [
      ["another tenant's record", item({}, { branchKeyId: "b" }), "ERR_BRANCH_KEY"],
      ["a version's record for the active one", item({}, OF_VERSION), "ERR_BRANCH_KEY"],
      ["a record under another KMS key", item({ "kms-arn": { S: FOREIGN_KEY_ARN } }), "ERR_KMS_KEY"],
      ["no record at all", 7, "ERR_BRANCH_KEY"],
    ];
    it.each(answers)("is refused with %s, and KMS is not asked", async (_, answer, code) => {
      const { store, borrow } = setUp();
      store.findAnswer = async () => answer;
      await expect(borrow()).rejects.toThrowCode(code);
      expect(store.decrypted).toEqual([]);
    });

    it("is given up when it does not answer in time, without a grudge against the key", async () => {
      const { clock, store, borrow } = setUp();
      store.findAnswer = () => new Promise(() => undefined);
      const outcome = expect(borrow()).rejects.toThrowCode("ERR_KEY_STORE");
      await settle();
      clock.advance(9_000);
      await outcome;
      store.findAnswer = undefined;
      await borrow();
      expect(clock.waiting).toBe(1); // for the age of the key; none of deadlines
    });

    it("is a store that cannot be reached where it fails", async () => {
      const { store, borrow } = setUp();
      store.findAnswer = async () => {
        throw new TypeError("socket");
      };
      await expect(borrow()).rejects.toThrowCode("ERR_KEY_STORE");
    });
  });
});
