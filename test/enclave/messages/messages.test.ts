/** AWS Encryption SDK messages, made by the SDK and opened through an attested client. */
import { describe, expect, it, vi } from "vitest";
import type { OpenMessageOptions } from "../../../enclave/messages/messages.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import { EsdkTable, SUITE } from "../esdk.js";
import type { Json, KmsCall } from "../fakes.js";
import { FOREIGN_KEY_ARN, fakeKms, KEY_ARN, OTHER_KEY_ARN, testRecipient } from "../fakes.js";
import { messagesOver } from "./messages.js";

const PLAINTEXT = utf8("a secret that is longer than one frame of the message, which holds 64 bytes, by a good deal");
const CONTEXT = { tenant: "a", purpose: "test" };
const CALLER = { principalClass: "somebody" };

const permitted = (): void => undefined;
const denied = (): never => {
  throw new ServiceError("ERR_NOT_AUTHORIZED", "no policy permits it");
};

function setUp(answer?: (call: KmsCall, genuine: () => Json) => Json) {
  const table = new EsdkTable();
  const recipient = testRecipient();
  const kms = fakeKms((call) => {
    const genuine = () => table.answer(recipient, call);
    return answer ? answer(call, genuine) : genuine();
  });
  const opener = messagesOver(kms, recipient);
  const open = (
    message: Uint8Array,
    expectedContext: OpenMessageOptions["expectedContext"] = {},
    authorize = permitted,
  ) => opener.open(message, { ...CALLER, expectedContext, authorize });
  return { table, recipient, kms, open, opener };
}

describe("Messages.open", () => {
  it.each([
    ["committed", SUITE.committed],
    ["committed and signed", SUITE.committedSigned],
  ])("opens a %s message", async (_, suite) => {
    const { table, open, kms } = setUp();
    const opened = await open(await table.message(PLAINTEXT, { context: CONTEXT, suite }), { tenant: "a" });
    expect(opened.plaintext).toEqual(PLAINTEXT);
    expect(opened.encryptionContext).toMatchObject(CONTEXT);
    expect(kms.calls).toHaveLength(1);
    expect(kms.calls[0]?.body).toMatchObject({
      KeyId: KEY_ARN,
      Recipient: { KeyEncryptionAlgorithm: expect.any(String) },
    });
  });

  it("opens a message for several keys with whichever is pinned", async () => {
    const { table, open } = setUp();
    const message = await table.message(PLAINTEXT, { keyIds: [FOREIGN_KEY_ARN, OTHER_KEY_ARN] });
    expect((await open(message)).plaintext).toEqual(PLAINTEXT);
  });

  it("opens a message when the first of its pinned keys refuses and the second does not", async () => {
    const denied = { $status: 400, __type: "AccessDeniedException" };
    const { table, open } = setUp(({ body }, genuine) => (body.KeyId === KEY_ARN ? denied : genuine()));
    const message = await table.message(PLAINTEXT, { keyIds: [KEY_ARN, OTHER_KEY_ARN] });
    expect((await open(message)).plaintext).toEqual(PLAINTEXT);
  });

  it("refuses a message without key commitment", async () => {
    const { table, open, kms } = setUp();
    const message = await table.message(PLAINTEXT, { suite: SUITE.uncommitted });
    await expect(open(message)).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(kms.calls).toEqual([]);
  });

  it("refuses more encrypted data keys than allowed, before KMS is asked", async () => {
    const { table, open, kms } = setUp();
    const message = await table.message(PLAINTEXT, { keyIds: [KEY_ARN, OTHER_KEY_ARN, FOREIGN_KEY_ARN] });
    await expect(open(message)).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(kms.calls).toEqual([]);
  });

  it("pitfall 4: refuses a message for none of the pinned keys, before KMS is asked", async () => {
    const { table, open, kms } = setUp();
    const message = await table.message(PLAINTEXT, { keyIds: [FOREIGN_KEY_ARN] });
    await expect(open(message)).rejects.toThrowCode("ERR_KMS_KEY");
    expect(kms.calls).toEqual([]);
  });

  it("pitfall 5: refuses a message whose context is not the one expected, before KMS is asked", async () => {
    const { table, open, kms } = setUp();
    const message = await table.message(PLAINTEXT, { context: CONTEXT });
    await expect(open(message, { tenant: "b" })).rejects.toThrowCode("ERR_ENCRYPTION_CONTEXT");
    await expect(open(message, { ...CONTEXT, owner: "x" })).rejects.toThrowCode("ERR_ENCRYPTION_CONTEXT");
    await expect(open(message, { toString: "x" })).rejects.toThrowCode("ERR_ENCRYPTION_CONTEXT");
    expect(kms.calls).toEqual([]);
    await expect(open(message, CONTEXT)).resolves.toBeDefined();
  });

  it("pitfall 15: refuses a message with more pairs than anybody has, before a policy or KMS is asked", async () => {
    const { table, open, kms } = setUp();
    const contextOf = (pairs: number) =>
      Object.fromEntries(Array.from({ length: pairs }, (_, index) => [`name${index}`, ""]));
    await expect(open(await table.message(PLAINTEXT, { context: contextOf(257) }), {}, denied)).rejects.toThrowCode(
      "ERR_MESSAGE_MALFORMED",
    );
    expect(kms.calls).toEqual([]);
    await expect(open(await table.message(PLAINTEXT, { context: contextOf(256) }))).resolves.toBeDefined();
  });

  it("pitfall 3: refuses a message whose context was changed: KMS has it as well", async () => {
    const { table, open } = setUp();
    const message = Buffer.from(await table.message(PLAINTEXT, { context: CONTEXT }));
    message[message.indexOf("tenant") + "tenant".length + 2] = "b".charCodeAt(0); // name, two bytes of length, value
    await expect(open(message, { tenant: "b" })).rejects.toThrowCode("ERR_KMS_REFUSED");
  });

  it("pitfall 1: a forged data key does not open a message that was made with another", async () => {
    const forged = () => ({ KeyId: KEY_ARN, CiphertextForRecipient: parts.recipient.seal(new Uint8Array(32)) });
    const parts = setUp(forged);
    await expect(parts.open(await parts.table.message(PLAINTEXT))).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it.each([
    ["in its first frame", -80],
    ["in its last frame", -1],
  ])("refuses a message that was changed %s", async (_, at) => {
    const { table, open } = setUp();
    const message = await table.message(PLAINTEXT);
    const place = message.length + at;
    message[place] = (message[place] ?? 0) ^ 1;
    await expect(open(message)).rejects.toThrowCode("ERR_DECRYPTION_FAILED");
  });

  it("refuses every prefix of a message and what follows on no message", async () => {
    const { table, open } = setUp();
    const message = await table.message(utf8("short"));
    for (let length = 0; length < message.length; length += 7) {
      const refused = await open(message.subarray(0, length)).catch((error: { code?: string }) => error.code);
      expect(["ERR_MESSAGE_MALFORMED", "ERR_DECRYPTION_FAILED"]).toContain(refused);
    }
    await expect(open(utf8("no message at all"))).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it.each([
    ["denies", { $status: 400, __type: "AccessDeniedException" }, "ERR_KMS_DENIED"],
    ["refuses", { $status: 400, __type: "DisabledException" }, "ERR_KMS_REFUSED"],
    ["fails", { $status: 500, __type: "KMSInternalException" }, "ERR_KMS_UNAVAILABLE"],
    ["answers with plaintext", { KeyId: KEY_ARN, Plaintext: "AAAA" }, "ERR_KMS_ANSWER"],
    ["answers from another key", { KeyId: OTHER_KEY_ARN }, "ERR_KMS_KEY"],
  ] as const)("tells by code that KMS %s", async (_, answer, code) => {
    const { table, open } = setUp(() => answer);
    await expect(open(await table.message(PLAINTEXT))).rejects.toThrowCode(code);
  });
});

describe("who may have a message opened", () => {
  it("is asked for every pinned key of the message, with the context that callers chose", async () => {
    const { table, opener } = setUp();
    const asked: unknown[] = [];
    const authorize: OpenMessageOptions["authorize"] = ({ arn }, context) => void asked.push([arn, context]);
    const keyIds = [KEY_ARN, OTHER_KEY_ARN];
    const message = await table.message(PLAINTEXT, { keyIds, context: CONTEXT, suite: SUITE.committedSigned });
    await opener.open(message, { ...CALLER, expectedContext: {}, authorize });
    // The pair that the SDK adds for the signature is in the message, and in nobody's policy.
    expect(asked).toEqual([
      [KEY_ARN, CONTEXT],
      [OTHER_KEY_ARN, CONTEXT],
    ]);
  });

  it("KMS is not asked where the caller may not, and the refusal is the caller's", async () => {
    const { table, open, kms } = setUp();
    const message = await table.message(PLAINTEXT);
    await expect(open(message, {}, denied)).rejects.toThrowCode("ERR_NOT_AUTHORIZED");
    expect(kms.calls).toEqual([]);
  });

  it("KMS is asked for the keys that the caller may use alone", async () => {
    const { table, opener, kms } = setUp();
    const message = await table.message(PLAINTEXT, { keyIds: [KEY_ARN, OTHER_KEY_ARN] });
    const authorize: OpenMessageOptions["authorize"] = ({ arn }) => (arn === KEY_ARN ? denied() : undefined);
    await expect(opener.open(message, { ...CALLER, expectedContext: {}, authorize })).resolves.toMatchObject({
      plaintext: PLAINTEXT,
    });
    expect(kms.calls.map(({ body }) => body.KeyId)).toEqual([OTHER_KEY_ARN]);
  });
});

describe("a message as a stream", () => {
  const options = { ...CALLER, expectedContext: {}, authorize: permitted };
  const inParts = (message: Uint8Array, size = 50) =>
    (async function* () {
      for (let at = 0; at < message.length; at += size) yield message.subarray(at, at + size);
    })();

  async function taken(plaintext: AsyncIterable<Uint8Array>): Promise<{ received: Uint8Array; failure: unknown }> {
    const parts: Uint8Array[] = [];
    try {
      for await (const part of plaintext) parts.push(part);
      return { received: concatBytes(...parts), failure: undefined };
    } catch (failure) {
      return { received: concatBytes(...parts), failure };
    }
  }

  it("opens to the same plaintext and context, however it is cut", async () => {
    const { table, opener } = setUp();
    const message = await table.message(PLAINTEXT, { context: CONTEXT });
    for (const size of [1, 50, 10_000]) {
      const opening = await opener.openStream(inParts(message, size), options);
      expect(opening.encryptionContext).toMatchObject(CONTEXT);
      expect(await taken(opening.plaintext)).toEqual({ received: PLAINTEXT, failure: undefined });
    }
  });

  it("pitfall 15: a header that drips in is not read anew for every byte", async () => {
    const { table, opener } = setUp();
    const pairs = Array.from({ length: 200 }, (_, index) => [`name${index}`, "x".repeat(200)]);
    const message = await table.message(PLAINTEXT, { context: Object.fromEntries(pairs) });
    const joining = vi.spyOn(Buffer, "concat"); // the SDK joins a header with each part of it that comes
    const opening = await opener.openStream(inParts(message, 1), options);
    expect(joining.mock.calls.length).toBeLessThan(100);
    joining.mockRestore();
    expect(await taken(opening.plaintext)).toEqual({ received: PLAINTEXT, failure: undefined });
  });

  it("a last frame that was changed is an error after the frames before it, not an end", async () => {
    const { table, opener } = setUp();
    const message = await table.message(PLAINTEXT);
    message[message.length - 1] = (message.at(-1) ?? 0) ^ 1;
    const { received, failure } = await taken((await opener.openStream(inParts(message), options)).plaintext);
    expect(received).toEqual(PLAINTEXT.subarray(0, 64));
    expect(failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
  });

  it("a message that ends early is refused, within its header and after it", async () => {
    const { table, opener } = setUp();
    const message = await table.message(PLAINTEXT);
    await expect(opener.openStream(inParts(message.subarray(0, 40)), options)).rejects.toThrowCode(
      "ERR_MESSAGE_MALFORMED",
    );
    const { plaintext } = await opener.openStream(inParts(message.subarray(0, -20)), options);
    expect((await taken(plaintext)).failure).toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
  });

  it("who may not is refused before any plaintext, and KMS is not asked", async () => {
    const { table, opener, kms } = setUp();
    const message = await table.message(PLAINTEXT);
    await expect(opener.openStream(inParts(message), { ...options, authorize: denied })).rejects.toThrowCode(
      "ERR_NOT_AUTHORIZED",
    );
    expect(kms.calls).toEqual([]);
  });

  it("a failure of whoever sends is told as what it is", async () => {
    const { table, opener } = setUp();
    const message = await table.message(PLAINTEXT);
    const cut = new ServiceError("ERR_MESSAGE_MALFORMED", "the request ended within its body");
    const breaking = (async function* () {
      yield message.subarray(0, -20);
      throw cut;
    })();
    const { plaintext } = await opener.openStream(breaking, options);
    expect((await taken(plaintext)).failure).toBe(cut);
  });
});
