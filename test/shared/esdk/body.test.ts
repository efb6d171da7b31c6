/** Whole AWS Encryption SDK messages: body and footer, the SDK's own and messages with one thing wrong. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeUint } from "../../../shared/byte-writer.js";
import { concatBytes, toHex, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import type { Message } from "../../../shared/esdk/body.js";
import { bodyAad, readMessage } from "../../../shared/esdk/body.js";
import type { MessageFields, Part } from "../../support/esdk-message.js";
import {
  contextField,
  dataKeyField,
  rawKeyring,
  sdkFor,
  sdkMessage,
  writeMessage,
} from "../../support/esdk-message.js";
import { hex } from "../../support/hex.js";
import { mutated, randomBytes } from "../../support/mutate.js";

const read = (bytes: Uint8Array) => readMessage(bytes, { maxEncryptedDataKeys: 10 });

const SUITES = [0x0014, 0x0046, 0x0078, 0x0114, 0x0146, 0x0178, 0x0214, 0x0346, 0x0378, 0x0478, 0x0578];
const SIGNED: readonly number[] = [0x0214, 0x0346, 0x0378, 0x0578];

const named = SUITES.map((suite) => ({ suite, name: `0x${toHex(encodeUint(suite, 2))}` }));

const regular = (sequenceNumber: number, length = 64): Part => ({
  kind: "regularFrame",
  sequenceNumber,
  plaintext: new Uint8Array(length),
});
const final = (sequenceNumber: number, length = 9): Part => ({
  ...regular(sequenceNumber, length),
  kind: "finalFrame",
});
const unframed = (length: number): MessageFields => ({
  contentType: 1,
  frameLength: 0,
  parts: [{ kind: "unframed", sequenceNumber: 1, plaintext: new Uint8Array(length) }],
});

describe("what is read of the SDK's own messages", () => {
  it.each(named)(
    "suite $name: all frames, the signature where there is one, and nothing after them",
    async ({ suite }) => {
      const message = read(await sdkMessage(new Uint8Array(100), { suite, frameLength: 32 }));
      expect(
        message.parts.map(({ kind, sequenceNumber, ciphertext }) => [kind, sequenceNumber, ciphertext.length]),
      ).toEqual([
        ["regularFrame", 1, 32],
        ["regularFrame", 2, 32],
        ["regularFrame", 3, 32],
        ["finalFrame", 4, 4],
      ]);
      expect(message.plaintextLength).toBe(100);
      expect(message.signature !== undefined).toBe(SIGNED.includes(suite));
      if (message.signature) expect(toHex(message.signature.subarray(0, 1))).toBe("30");
    },
  );

  it("frames of any length, and any length of plaintext", async () => {
    const sizes = fc.record({
      length: fc.nat(300),
      frameLength: fc.integer({ min: 1, max: 128 }),
      signed: fc.boolean(),
    });
    const property = fc.asyncProperty(sizes, async ({ length, frameLength, signed }) => {
      const suite = signed ? 0x0578 : 0x0478;
      const { parts, plaintextLength } = read(await sdkMessage(new Uint8Array(length), { suite, frameLength }));
      expect(plaintextLength).toBe(length);
      expect(parts.map(({ sequenceNumber }) => sequenceNumber)).toEqual(parts.map((_, i) => i + 1));
      expect(parts.at(-1)?.kind).toBe("finalFrame");
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it("an empty plaintext in one empty frame", async () => {
    const { parts, plaintextLength } = read(await sdkMessage(new Uint8Array(), { suite: 0x0478 }));
    expect([parts.length, parts[0]?.kind, plaintextLength]).toEqual([1, "finalFrame", 0]);
  });
});

describe("what is read of messages that the SDK opens and does not write", () => {
  const forms: readonly (readonly [string, MessageFields, number])[] = [
    ["an unframed body", unframed(100), 100],
    ["an empty unframed body", unframed(0), 0],
    ["an empty final frame after a full one", { parts: [regular(1), final(2, 0)] }, 64],
    ["a full final frame", { parts: [final(1, 64)] }, 64],
  ];
  const each = forms.flatMap(([name, fields, length]) =>
    ([0x0178, 0x0478] as const).map((suite) => ({ name, fields: { ...fields, suite }, length })),
  );

  it.each(each)("$name, in suite $fields.suite", async ({ fields, length }) => {
    const bytes = writeMessage(fields);
    expect(read(bytes).plaintextLength).toBe(length);
    const { plaintext } = await sdkFor(fields.suite).decrypt(rawKeyring(), bytes);
    expect(toHex(plaintext)).toBe("00".repeat(length));
  });
});

/** Each is one change to a message that is read, and its tags are right. */
const WRONG: readonly (readonly [string, MessageFields])[] = [
  ["a first frame that is number 0", { parts: [regular(0), final(1)] }],
  ["a first frame that is number 2", { parts: [regular(2), final(3)] }],
  ["a frame that comes twice", { parts: [regular(1), regular(1), final(2)] }],
  ["a frame that is left out", { parts: [regular(1), regular(3), final(4)] }],
  ["frames in another order", { parts: [regular(2), regular(1), final(3)] }],
  ["a final frame of another number", { parts: [regular(1), final(3)] }],
  ["no final frame", { parts: [regular(1)] }],
  ["a frame after the final one", { parts: [final(1), regular(2)] }],
  ["a second final frame", { parts: [final(1), final(2)] }],
  ["a final frame longer than the frame length", { parts: [final(1, 65)] }],
  ["no body", { parts: [] }],
  ["a byte after the end", { after: hex("00") }],
  ["a footer of a suite that does not sign", { after: hex("0001aa") }],
  ["a byte after an unframed body", { ...unframed(9), after: hex("00") }],
  ["an unframed message without a body", { ...unframed(9), parts: [] }],
];

describe("what is refused", () => {
  it.each(WRONG)("%s", (_, fields) => {
    expect(read(writeMessage())).toBeDefined();
    expect(() => read(writeMessage(fields))).toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("a signed message without its signature, with an empty one, or with a byte after it", async () => {
    const message = await sdkMessage(utf8("p"), { suite: 0x0578 });
    const unsigned = message.subarray(0, message.length - (read(message).signature?.length ?? 0) - 2);
    expect(() => read(unsigned)).toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(() => read(concatBytes(unsigned, hex("0000")))).toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(() => read(concatBytes(message, hex("00")))).toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it.each([
    ["just beyond the message", hex("000000000000000a")],
    ["of 2^32 and the right one", hex("0000000100000009")],
    ["of 2^63 - 1", hex("7fffffffffffffff")],
    ["of 2^64 - 1", hex("ffffffffffffffff")],
  ])("an unframed body with a length %s", (_, length) => {
    const message = writeMessage(unframed(9));
    const start = message.length - 16 - 9 - 8;
    expect(toHex(message.subarray(start, start + 8))).toBe("0000000000000009");
    const wrong = concatBytes(message.subarray(0, start), length, message.subarray(start + 8));
    expect(() => read(wrong)).toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("frame lengths up to 2^32 - 1 that are not there", () => {
    for (const frameLength of [65, 2 ** 31, 2 ** 32 - 1]) {
      expect(() => read(writeMessage({ frameLength, parts: [regular(1), final(2)] }))).toThrowCode(
        "ERR_MESSAGE_MALFORMED",
      );
    }
  });

  it("every truncation", async () => {
    const plaintext = new Uint8Array(40);
    const messages = SUITES.map((suite) => sdkMessage(plaintext, { suite, context: { a: "b" }, frameLength: 16 }));
    for (const message of [...(await Promise.all(messages)), writeMessage(unframed(20))]) {
      for (let end = 0; end < message.length; end++) {
        expect(() => read(message.subarray(0, end)), `${end}`).toThrowCode("ERR_MESSAGE_MALFORMED");
      }
    }
  });

  it("throws nothing but ERR_MESSAGE_MALFORMED on any value of any one byte", async () => {
    const signed = await sdkMessage(new Uint8Array(20), { suite: 0x0578, frameLength: 16 });
    for (const message of [
      signed,
      writeMessage({ suite: 0x0178, parts: [regular(1), final(2)] }),
      writeMessage(unframed(9)),
    ]) {
      for (let position = 0; position < message.length; position++) {
        for (let value = 0; value < 256; value++) {
          readOrRefuse(message.map((old, index) => (index === position ? value : old)));
        }
      }
    }
  });

  it("throws nothing but ERR_MESSAGE_MALFORMED on mutated and random bytes; what it reads tiles the message", async () => {
    const context = contextField([utf8("a"), utf8("b")]);
    const samples = [
      writeMessage({ context, parts: [regular(1), regular(2), final(3)] }),
      writeMessage({ suite: 0x0178, context }),
      writeMessage(unframed(9)),
      await sdkMessage(new Uint8Array(20), { suite: 0x0378, frameLength: 16 }),
    ];
    const property = fc.property(fc.oneof(mutated(samples), randomBytes), (bytes) => {
      const message = readOrRefuse(bytes);
      if (message) expect(lengthOf(message)).toBe(bytes.length);
    });
    fc.assert(property, { numRuns: 4000 });
  });
});

/** Bytes of header, body and footer, by their own account. */
function lengthOf({ header, parts, plaintextLength, signature }: Message): number {
  const around = { regularFrame: 32, finalFrame: 40, unframed: 36 };
  const body = parts.reduce((sum, { kind }) => sum + around[kind], plaintextLength);
  return header.length + body + (signature ? 2 + signature.length : 0);
}

/** The message, or undefined when it is refused as malformed; any other error fails the test. */
function readOrRefuse(bytes: Uint8Array): Message | undefined {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof ServiceError && error.code === "ERR_MESSAGE_MALFORMED") return undefined;
    throw error;
  }
}

describe("what is refused although the SDK for JavaScript opens it", () => {
  const empty = final(1, 0);
  const ofEmptyContext = () => {
    const fields = read(writeMessage()).header.encryptedDataKeys.map(({ providerId, providerInfo, ciphertext }) =>
      dataKeyField(providerId, providerInfo, ciphertext),
    );
    return concatBytes(encodeUint(fields.length, 2), ...fields);
  };

  it.each([
    ["a byte after the end of an unsigned message", { after: hex("00") }],
    ["a count of no pairs", { context: hex("00020000"), encryptedDataKeys: ofEmptyContext() }],
    ["unframed content with a frame length", { ...unframed(9), frameLength: 64 }],
    ["framed content without a frame length", { frameLength: 0, parts: [empty] }],
  ] satisfies [string, MessageFields][])("%s", async (_, fields) => {
    const bytes = writeMessage(fields);
    expect(() => read(bytes)).toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(await sdkFor(0x0478).decrypt(rawKeyring(), bytes)).toBeDefined();
  });
});

describe("what authenticates a part", () => {
  it("is the message id, the kind, the sequence number and the length (Body AAD reference)", () => {
    const part = { kind: "regularFrame", sequenceNumber: 0x01020304, contentLength: 0x0506 } as const;
    const expected = concatBytes(hex("aabb"), utf8("AWSKMSEncryptionClient Frame"), hex("01020304 0000000000000506"));
    expect(toHex(bodyAad(hex("aabb"), part))).toBe(toHex(expected));
    expect(toHex(bodyAad(hex("aabb"), { ...part, kind: "finalFrame" }))).toContain(toHex(utf8("Client Final Frame")));
    expect(toHex(bodyAad(hex("aabb"), { ...part, kind: "unframed" }))).toContain(toHex(utf8("Client Single Block")));
  });
});
