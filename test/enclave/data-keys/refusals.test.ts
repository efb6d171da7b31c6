/** What KMS has refused: remembered for the configured time, for as much as KMS said, and nothing else. */
import { KMSServiceException } from "@aws-sdk/client-kms";
import { describe, expect, it } from "vitest";
import { Refusals } from "../../../enclave/data-keys/refusals.js";
import type { DataKeyKms } from "../../../enclave/data-keys/source.js";
import { kmsErrorOf } from "../../../enclave/kms/kms-errors.js";
import { utf8 } from "../../../shared/bytes.js";
import type { ErrorCode } from "../../../shared/errors.js";
import { ServiceError } from "../../../shared/errors.js";
import { KEY_ARN, OTHER_KEY_ARN, TestClock } from "../fakes.js";

const QUESTION = { KeyId: KEY_ARN, CiphertextBlob: utf8("wrapped"), EncryptionContext: { tenant: "a", purpose: "x" } };

/** Of a key's state; whatever was asked. */
const KEY_STATES = ["DisabledException", "KMSInvalidStateException", "NotFoundException"];

/** What the enclave makes of KMS's answer. */
const answered = (name: string): unknown =>
  kmsErrorOf(
    new KMSServiceException({
      ...{ name, message: "all of it", $fault: "client" },
      $metadata: { httpStatusCode: 400, requestId: "request-1" },
    }),
  );

const failureOf = (code: ErrorCode): unknown =>
  new ServiceError(code, "AWS KMS answered so", { cause: new Error("all of it") });

function setUp(failure: unknown = failureOf("ERR_KMS_DENIED"), seconds = 5) {
  const clock = new TestClock();
  const refusals = new Refusals({ seconds, clock });
  const state: { failure: unknown; calls: number } = { failure, calls: 0 };
  const answer = async <T>(value: T): Promise<T> => {
    state.calls += 1;
    if (state.failure !== undefined) throw state.failure;
    return value;
  };
  const kms: DataKeyKms = refusals.guard({
    decrypt: () => answer({ KeyId: KEY_ARN }),
    encrypt: () => answer({ KeyId: KEY_ARN }),
    generateDataKey: () => answer({ KeyId: KEY_ARN }),
  });
  return { clock, refusals, state, kms };
}

/** A hundred times `ask`, one after the other, each of which is to be refused. */
async function askHundred(code: ErrorCode, ask: (index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; index < 100; index++) await expect(ask(index)).rejects.toThrowCode(code);
}

const withCiphertext = (index: number) => ({ ...QUESTION, CiphertextBlob: Uint8Array.of(index >> 8, index) });
const withContext = (index: number) => ({ KeyId: KEY_ARN, EncryptionContext: { tenant: "a", object: `${index}` } });

describe("a refusal", () => {
  it.each<ErrorCode>(["ERR_KMS_DENIED", "ERR_KMS_REFUSED"])(
    "%s is told again without a call, so long and no longer",
    async (code) => {
      const { clock, state, kms } = setUp(failureOf(code));
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
    const { state, kms } = setUp(failureOf(code));
    await expect(kms.decrypt(QUESTION)).rejects.toThrowCode(code);
    state.failure = undefined;
    await expect(kms.decrypt(QUESTION)).resolves.toEqual({ KeyId: KEY_ARN });
  });

  it("of a ciphertext is of the operation, key, context and ciphertext, whatever the order of pairs", async () => {
    const { state, kms } = setUp(answered("InvalidCiphertextException"));
    const generate = { KeyId: KEY_ARN, EncryptionContext: QUESTION.EncryptionContext };
    await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_REFUSED");
    state.failure = undefined;
    const reordered = { ...QUESTION, EncryptionContext: { purpose: "x", tenant: "a" } };
    await expect(kms.decrypt(reordered)).rejects.toThrowCode("ERR_KMS_REFUSED");
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
    state.failure = undefined;
    refusals.wipe();
    await expect(kms.generateDataKey({ KeyId: KEY_ARN })).resolves.toBeDefined();
  });

  it("of no seconds is not remembered at all", async () => {
    const { state, kms } = setUp(failureOf("ERR_KMS_DENIED"), 0);
    await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_DENIED");
    state.failure = undefined;
    await expect(kms.decrypt(QUESTION)).resolves.toBeDefined();
  });

  it("that comes after a wipe during its call is not remembered", async () => {
    const clock = new TestClock();
    const refusals = new Refusals({ seconds: 5, clock });
    const calls: ((error: unknown) => void)[] = [];
    const call = () => new Promise<never>((_, reject) => calls.push(reject));
    const kms = refusals.guard({ decrypt: call, encrypt: call, generateDataKey: call });
    for (const name of ["DisabledException", "AccessDeniedException", "InvalidCiphertextException"]) {
      calls.length = 0;
      const early = kms.decrypt(QUESTION);
      refusals.wipe();
      const late = kms.decrypt(QUESTION);
      expect(calls).toHaveLength(2);
      calls[0]?.(answered(name));
      await expect(early).rejects.toThrow(ServiceError);
      const again = kms.decrypt(QUESTION);
      expect(calls).toHaveLength(3);
      for (const reject of calls) reject(answered("ThrottlingException"));
      await expect(late).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
      await expect(again).rejects.toThrowCode("ERR_KMS_UNAVAILABLE");
    }
  });

  it("pitfall 15: is one of 10,000 at most, and the oldest is forgotten first", async () => {
    const { state, kms } = setUp(answered("InvalidCiphertextException"));
    const ask = (index: number) => kms.decrypt(withCiphertext(index));
    for (let index = 0; index <= 10_000; index++) await ask(index).catch(() => undefined);
    expect(state.calls).toBe(10_001);
    await expect(ask(10_000)).rejects.toThrowCode("ERR_KMS_REFUSED");
    expect(state.calls).toBe(10_001);
    await expect(ask(0)).rejects.toThrowCode("ERR_KMS_REFUSED");
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

describe("what KMS says of a key", () => {
  it.each(KEY_STATES)("%s is told again for a hundred ciphertexts and contexts, and every operation", async (name) => {
    const { state, kms } = setUp(answered(name));
    await askHundred("ERR_KMS_REFUSED", (index) => kms.decrypt(withCiphertext(index)));
    await askHundred("ERR_KMS_REFUSED", (index) => kms.generateDataKey(withContext(index)));
    await askHundred("ERR_KMS_REFUSED", (index) => kms.encrypt({ ...withContext(index), Plaintext: utf8("key") }));
    expect(state.calls).toBe(1);
  });

  it.each(KEY_STATES)("%s is told of no other key, and no longer than so long", async (name) => {
    const { clock, state, kms } = setUp(answered(name));
    await expect(kms.decrypt(withCiphertext(0))).rejects.toThrowCode("ERR_KMS_REFUSED");
    state.failure = undefined;
    await expect(kms.decrypt({ ...QUESTION, KeyId: OTHER_KEY_ARN })).resolves.toBeDefined();
    clock.advance(4_999);
    await expect(kms.decrypt(withCiphertext(1))).rejects.toThrowCode("ERR_KMS_REFUSED");
    clock.advance(1);
    await expect(kms.decrypt(withCiphertext(2))).resolves.toBeDefined();
  });

  it("is forgotten on demand", async () => {
    const { refusals, state, kms } = setUp(answered("DisabledException"));
    await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_REFUSED");
    state.failure = undefined;
    refusals.wipe();
    await expect(kms.decrypt(QUESTION)).resolves.toBeDefined();
  });

  it.each(["InvalidCiphertextException", "AccessDeniedException"])(
    "pitfall 15: is pushed out by no number of %s under another key",
    async (name) => {
      const { state, kms } = setUp(answered("DisabledException"));
      await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_REFUSED");
      state.failure = answered(name);
      for (let index = 0; index <= 10_000; index++) {
        const other = { ...withContext(index), KeyId: OTHER_KEY_ARN, CiphertextBlob: utf8("wrapped") };
        await kms.decrypt(other).catch(() => undefined);
      }
      expect(state.calls).toBe(10_002);
      await expect(kms.decrypt(QUESTION)).rejects.toThrowCode("ERR_KMS_REFUSED");
      expect(state.calls).toBe(10_002);
    },
  );

  it("keeps nothing of the answer but its code and message", async () => {
    const { kms } = setUp(answered("DisabledException"));
    await expect(kms.decrypt(QUESTION)).rejects.toMatchObject({ cause: expect.any(KMSServiceException) });
    const again = await kms.decrypt(withCiphertext(1)).catch((error: unknown) => error);
    expect(again).toMatchObject({ code: "ERR_KMS_REFUSED", message: expect.stringContaining("DisabledException") });
    expect((again as Error).cause).toBeUndefined();
  });
});

describe("a denial", () => {
  it("is told again for a hundred ciphertexts of its key and context", async () => {
    const { state, kms } = setUp(answered("AccessDeniedException"));
    await askHundred("ERR_KMS_DENIED", (index) => kms.decrypt(withCiphertext(index)));
    expect(state.calls).toBe(1);
  });

  it("is of its key, operation and context, and no longer than so long", async () => {
    const { clock, state, kms } = setUp(answered("AccessDeniedException"));
    await expect(kms.decrypt(withCiphertext(0))).rejects.toThrowCode("ERR_KMS_DENIED");
    state.failure = undefined;
    const { EncryptionContext } = QUESTION;
    await expect(kms.decrypt({ ...QUESTION, KeyId: OTHER_KEY_ARN })).resolves.toBeDefined();
    await expect(kms.decrypt({ ...QUESTION, EncryptionContext: { tenant: "a" } })).resolves.toBeDefined();
    await expect(kms.generateDataKey({ KeyId: KEY_ARN, EncryptionContext })).resolves.toBeDefined();
    clock.advance(4_999);
    await expect(kms.decrypt(withCiphertext(1))).rejects.toThrowCode("ERR_KMS_DENIED");
    clock.advance(1);
    await expect(kms.decrypt(withCiphertext(2))).resolves.toBeDefined();
  });
});

describe("a garbage ciphertext", () => {
  it("costs a call each, and none when it is brought again", async () => {
    const { state, kms } = setUp(answered("InvalidCiphertextException"));
    await askHundred("ERR_KMS_REFUSED", (index) => kms.decrypt(withCiphertext(index)));
    await askHundred("ERR_KMS_REFUSED", (index) => kms.decrypt(withCiphertext(index)));
    expect(state.calls).toBe(100);
  });
});
