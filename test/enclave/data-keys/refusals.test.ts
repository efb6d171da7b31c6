/** What KMS has refused: remembered for the configured time, for the same question, and nothing else. */
import { describe, expect, it } from "vitest";
import { Refusals } from "../../../enclave/data-keys/refusals.js";
import type { DataKeyKms } from "../../../enclave/data-keys/source.js";
import { utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { ServiceError } from "../../../shared/errors.js";
import { KEY_ARN, OTHER_KEY_ARN, TestClock } from "../fakes.js";

const QUESTION = { KeyId: KEY_ARN, CiphertextBlob: utf8("wrapped"), EncryptionContext: { tenant: "a", purpose: "x" } };

function setUp(code: ErrorCode | undefined = "ERR_KMS_DENIED", seconds = 5) {
  const clock = new TestClock();
  const refusals = new Refusals({ seconds, clock });
  const state: { code: ErrorCode | undefined; calls: number } = { code, calls: 0 };
  const answer = async <T>(value: T): Promise<T> => {
    state.calls += 1;
    if (state.code !== undefined)
      throw new ServiceError(state.code, "AWS KMS answered so", { cause: new Error("all of it") });
    return value;
  };
  const kms: DataKeyKms = refusals.guard({
    decrypt: () => answer({ KeyId: KEY_ARN }),
    encrypt: () => answer({ KeyId: KEY_ARN }),
    generateDataKey: () => answer({ KeyId: KEY_ARN }),
  });
  return { clock, refusals, state, kms };
}

describe("a refusal", () => {
  it.each<ErrorCode>(["ERR_KMS_DENIED", "ERR_KMS_REFUSED"])(
    "%s is told again without a call, so long and no longer",
    async (code) => {
      const { clock, state, kms } = setUp(code);
      await expect(kms.decrypt(QUESTION)).rejects.toThrowCode(code);
      clock.advance(4_999);
      await expect(kms.decrypt(QUESTION)).rejects.toThrowCode(code);
      expect(state.calls).toBe(1);
      clock.advance(1);
      await expect(kms.decrypt(QUESTION)).rejects.toThrowCode(code);
      expect(state.calls).toBe(2);
    },
  );

  it("is not made longer by being told", async () => {
    const { clock, state, kms } = setUp();
    for (let second = 0; second <= 5; second++) {
      await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_DENIED");
      clock.advance(1_000);
    }
    expect(state.calls).toBe(2);
  });

  it.each<ErrorCode>([
    "ERR_KMS_UNAVAILABLE",
    "ERR_TIMEOUT",
    "ERR_CREDENTIALS",
    "ERR_KMS_ANSWER",
    "ERR_GATEWAY_REFUSED",
    "ERR_NSM",
  ])("%s is none: the next one asks anew", async (code) => {
    const { state, kms } = setUp(code);
    await expect(kms.decrypt(QUESTION)).rejects.toThrowCode(code);
    state.code = undefined;
    await expect(kms.decrypt(QUESTION)).resolves.toEqual({ KeyId: KEY_ARN });
  });

  it("is of the operation, key, context and ciphertext that it was about, whatever the order of pairs", async () => {
    const { state, kms } = setUp();
    const generate = { KeyId: KEY_ARN, EncryptionContext: QUESTION.EncryptionContext };
    await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_DENIED");
    state.code = undefined;
    const reordered = { ...QUESTION, EncryptionContext: { purpose: "x", tenant: "a" } };
    await expect(kms.decrypt(reordered)).rejects.toThrowCode("ERR_KMS_DENIED");
    expect(state.calls).toBe(1);
    for (const other of [
      { ...QUESTION, KeyId: OTHER_KEY_ARN },
      { ...QUESTION, CiphertextBlob: utf8("another") },
      { ...QUESTION, EncryptionContext: { tenant: "a" } },
    ]) {
      await expect(kms.decrypt(other)).resolves.toBeDefined();
    }
    await expect(kms.generateDataKey(generate)).resolves.toBeDefined();
    await expect(kms.encrypt({ ...generate, Plaintext: utf8("key") })).resolves.toBeDefined();
  });

  it("is forgotten on demand", async () => {
    const { refusals, state, kms } = setUp();
    await expect(kms.generateDataKey({ KeyId: KEY_ARN })).rejects.toThrowCode("ERR_KMS_DENIED");
    state.code = undefined;
    refusals.wipe();
    await expect(kms.generateDataKey({ KeyId: KEY_ARN })).resolves.toBeDefined();
  });

  it("of no seconds is not remembered at all", async () => {
    const { state, kms } = setUp("ERR_KMS_DENIED", 0);
    await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_DENIED");
    state.code = undefined;
    await expect(kms.decrypt(QUESTION)).resolves.toBeDefined();
  });

  it("pitfall 15: is one of 10,000 at most, and the oldest is forgotten first", async () => {
    const { state, kms } = setUp();
    const ask = (index: number) => kms.decrypt({ ...QUESTION, CiphertextBlob: Uint8Array.of(index >> 8, index) });
    for (let index = 0; index <= 10_000; index++) await ask(index).catch(() => undefined);
    expect(state.calls).toBe(10_001);
    await expect(ask(10_000)).rejects.toThrowCode("ERR_KMS_DENIED");
    expect(state.calls).toBe(10_001);
    await expect(ask(0)).rejects.toThrowCode("ERR_KMS_DENIED");
    expect(state.calls).toBe(10_002);
  });

  it("that is told again keeps nothing of the answer of KMS but its code", async () => {
    const { kms } = setUp();
    await expect(kms.decrypt(QUESTION)).rejects.toMatchObject({ cause: expect.any(Error) });
    const again = await kms.decrypt(QUESTION).catch((error: unknown) => error);
    expect(again).toMatchObject({ code: "ERR_KMS_DENIED" });
    expect((again as Error).cause).toBeUndefined();
  });
});
