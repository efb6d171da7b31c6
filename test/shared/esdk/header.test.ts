/** The header of AWS Encryption SDK messages: the SDK's own, and headers with one thing wrong (PITFALLS row 18: parsers that differ). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeUint } from "../../../shared/byte-writer.js";
import { concatBytes, toHex, utf8 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import { branchKeyOf, providerText } from "../../../shared/esdk/encrypted-data-keys.js";
import type { MessageHeader } from "../../../shared/esdk/header.js";
import { readHeader } from "../../../shared/esdk/header.js";
import type { MessageFields } from "../../support/esdk-message.js";
import {
  block,
  contextField,
  dataKeyField,
  isCommitted,
  KEY_NAME,
  NAMESPACE,
  rawKeyring,
  sdkFor,
  sdkMessage,
  writeMessage,
} from "../../support/esdk-message.js";
import { hex } from "../../support/hex.js";
import { mutated, randomBytes } from "../../support/mutate.js";

const LIMITS = { maxEncryptedDataKeys: 10 };
const read = (bytes: Uint8Array) => readHeader(bytes, LIMITS);

/** Suite, key length in bytes, whether it signs. */
const SUITES: readonly (readonly [number, number, boolean])[] = [
  [0x0014, 16, false],
  [0x0046, 24, false],
  [0x0078, 32, false],
  [0x0114, 16, false],
  [0x0146, 24, false],
  [0x0178, 32, false],
  [0x0214, 16, true],
  [0x0346, 24, true],
  [0x0378, 32, true],
  [0x0478, 32, false],
  [0x0578, 32, true],
];

const named = SUITES.map(([id, keyBytes, signed]) => ({ name: `0x${toHex(encodeUint(id, 2))}`, id, keyBytes, signed }));

describe("what is read of the SDK's own messages", () => {
  it.each(named)("suite $name: every field as the SDK reads it", async ({ id, keyBytes, signed }) => {
    const context = { tenant: "a", "2": "second", "1": "first", ü: "€\u{1f600}" };
    const message = await sdkMessage(utf8("x".repeat(100)), { suite: id, context, frameLength: 32 });
    const header = read(message);
    const sdk = (await sdkFor(id).decrypt(rawKeyring(), message)).messageHeader as unknown as SdkHeader;
    expect(header.suite).toEqual({ id, keyBytes, commits: isCommitted(id), signed });
    expect(header.version).toBe(sdk.version);
    expect(toHex(header.messageId)).toBe(toHex(sdk.messageId));
    expect(Object.fromEntries(header.encryptionContext)).toEqual({ ...sdk.encryptionContext });
    expect(header.encryptionContext.has("aws-crypto-public-key")).toBe(signed);
    expect(header.contentType).toEqual({ kind: "framed", frameLength: 32 });
    expect(header.commitment && toHex(header.commitment)).toBe(sdk.suiteData && toHex(sdk.suiteData));
    expect(dataKeysOf(header)).toEqual(
      sdk.encryptedDataKeys.map(({ providerId, rawInfo, encryptedDataKey }) => [
        providerId,
        toHex(rawInfo),
        toHex(encryptedDataKey),
      ]),
    );
    expect(header.authenticated.length + (header.version === 1 ? 28 : 16)).toBe(header.length);
    expect(toHex(message.subarray(header.length, header.length + 4))).toBe("00000001");
  });

  it("keeps the order of pairs, also of names that are integers", () => {
    const context = contextField(
      [utf8("b"), utf8("1")],
      [utf8("10"), utf8("2")],
      [utf8("9"), utf8("")],
      [utf8("a"), utf8("3")],
    );
    const header = read(writeMessage({ context }));
    expect([...header.encryptionContext]).toEqual([
      ["b", "1"],
      ["10", "2"],
      ["9", ""],
      ["a", "3"],
    ]);
  });

  it("holds names of an object's prototype, and a byte order mark, as any other text", () => {
    const names = ["__proto__", "constructor", "toString", "\ufeffa", "a"];
    const header = read(
      writeMessage({ context: contextField(...names.map((name) => [utf8(name), utf8("v")] as const)) }),
    );
    expect([...header.encryptionContext.keys()]).toEqual(names);
  });

  it("reads an unframed message's header", () => {
    expect(read(writeMessage({ contentType: 1, frameLength: 0 })).contentType).toEqual({ kind: "unframed" });
    expect(read(writeMessage({ suite: 0x0178, contentType: 1, frameLength: 0 })).contentType).toEqual({
      kind: "unframed",
    });
  });

  it("takes the header's bytes alone, and does not look at what follows", () => {
    const message = writeMessage();
    const { length } = read(message);
    expect(read(message.subarray(0, length))).toEqual(
      read(concatBytes(message.subarray(0, length), hex("ff".repeat(99)))),
    );
  });

  it("reads a view that does not start where its buffer does", () => {
    const message = writeMessage();
    const shifted = concatBytes(hex("0102030405"), message).subarray(5);
    expect(read(shifted)).toEqual(read(message));
  });

  it("takes as many pairs and data keys as the limits, and no more", () => {
    const pairs = (count: number) =>
      contextField(...Array.from({ length: count }, (_, i) => [utf8(`name ${i}`), utf8("")] as const));
    const keys = (count: number) => concatBytes(encodeUint(count, 2), ...Array.from({ length: count }, () => edk));
    const edk = dataKeyField("aws-kms", utf8("arn"), hex("00"));
    expect(read(writeMessage({ context: pairs(256) })).encryptionContext.size).toBe(256);
    expect(() => read(writeMessage({ context: pairs(257) }))).toThrowCode("ERR_MESSAGE_MALFORMED");
    expect(read(writeMessage({ encryptedDataKeys: keys(10) })).encryptedDataKeys).toHaveLength(10);
    expect(() => read(writeMessage({ encryptedDataKeys: keys(11) }))).toThrowCode("ERR_MESSAGE_MALFORMED");
  });
});

interface SdkHeader {
  readonly version: number;
  readonly messageId: Uint8Array;
  readonly encryptionContext: Readonly<Record<string, string>>;
  readonly encryptedDataKeys: readonly { providerId: string; rawInfo: Uint8Array; encryptedDataKey: Uint8Array }[];
  readonly suiteData?: Uint8Array;
}

const dataKeysOf = ({ encryptedDataKeys }: MessageHeader) =>
  encryptedDataKeys.map(({ providerId, providerInfo, ciphertext }) => [
    providerId,
    toHex(providerInfo),
    toHex(ciphertext),
  ]);

const pair = (name: string) => [utf8(name), utf8("v")] as const;
const OVERLONG = hex("c080");
const SURROGATE = hex("eda080");

/** Each is one change to a message that is read. */
const WRONG: readonly (readonly [string, MessageFields])[] = [
  ["version 0", { version: 0 }],
  ["version 3", { version: 3 }],
  ["version 1 of a suite that commits", { version: 1 }],
  ["another type", { suite: 0x0178, type: 0x81 }],
  ["an unknown suite", { suiteField: 0x0479 }],
  ["a suite of version 1 in version 2", { suiteField: 0x0178 }],
  ["a suite of version 2 in version 1", { suite: 0x0178, suiteField: 0x0478 }],
  ["a name that comes twice", { context: contextField(pair("a"), pair("b"), pair("a")) }],
  ["a count of no pairs", { context: block(encodeUint(0, 2)) }],
  ["a context of one byte", { context: block(hex("00")) }],
  ["bytes after the last pair", { context: block(concatBytes(contextField(pair("a")).subarray(2), hex("00"))) }],
  ["a pair that is cut", { context: block(contextField(pair("a")).subarray(2, -1)) }],
  ["a name in overlong UTF-8", { context: contextField([OVERLONG, utf8("v")]) }],
  ["a value with a surrogate", { context: contextField([utf8("a"), SURROGATE]) }],
  ["no encrypted data key", { encryptedDataKeys: encodeUint(0, 2) }],
  [
    "a provider id that is not UTF-8",
    { encryptedDataKeys: concatBytes(encodeUint(1, 2), block(hex("ff")), hex("00000000")) },
  ],
  ["content type 0", { contentType: 0 }],
  ["content type 3", { contentType: 3 }],
  ["framed content without a frame length", { frameLength: 0 }],
  ["unframed content with a frame length", { contentType: 1, frameLength: 1 }],
  ["reserved bytes that are not zero", { suite: 0x0178, reserved: 1 }],
  ["another IV length", { suite: 0x0178, ivLength: 11 }],
];

describe("what is refused", () => {
  it.each(WRONG)("%s", (_, fields) => {
    expect(read(writeMessage(fields.suite ? { suite: fields.suite } : {}))).toBeDefined();
    expect(() => read(writeMessage(fields))).toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it.each([0x0178, 0x0478, 0x0578])("every truncation of a header of suite %i", async (suite) => {
    const message = await sdkMessage(utf8("plaintext"), { suite, context: { a: "b" } });
    const { length } = read(message);
    for (let end = 0; end < length; end++) {
      expect(() => read(message.subarray(0, end)), `${end}`).toThrowCode("ERR_MESSAGE_MALFORMED");
    }
  });

  it("throws nothing but ERR_MESSAGE_MALFORMED on any value of any one byte", async () => {
    const messages = [0x0114, 0x0578].map((suite) => sdkMessage(utf8("p"), { suite, context: { a: "b" } }));
    for (const message of await Promise.all(messages)) {
      const { length } = read(message);
      for (let position = 0; position < length; position++) {
        for (let value = 0; value < 256; value++) readOrRefuse(withOctet(message, position, value));
      }
    }
  });

  it("throws nothing but ERR_MESSAGE_MALFORMED on mutated and random bytes, and tells no length beyond them", () => {
    const samples = [writeMessage(), writeMessage({ suite: 0x0178, context: contextField(pair("a"), pair("b")) })];
    const property = fc.property(fc.oneof(mutated(samples), randomBytes), (bytes) => {
      const header = readOrRefuse(bytes);
      if (header) expect(header.length).toBeLessThanOrEqual(bytes.length);
    });
    fc.assert(property, { numRuns: 3000 });
  });
});

const withOctet = (bytes: Uint8Array, position: number, value: number): Uint8Array =>
  bytes.map((old, index) => (index === position ? value : old));

/** The header, or undefined when it is refused as malformed; any other error fails the test. */
function readOrRefuse(bytes: Uint8Array): MessageHeader | undefined {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof ServiceError && error.code === "ERR_MESSAGE_MALFORMED") return undefined;
    throw error;
  }
}

describe("encrypted data keys", () => {
  const version = hex("0123456789ab4def8123456789abcdef");
  const wrapped = (key: number, uuid = version) =>
    concatBytes(new Uint8Array(28).fill(0xaa), uuid, new Uint8Array(key + 16).fill(0xbb));
  const branchKey = { providerId: "aws-kms-hierarchy", providerInfo: utf8("tenant"), ciphertext: wrapped(32) };

  it.each([16, 24, 32])("tells the branch key of a data key of %i bytes", (bytes) => {
    const name = { id: "tenant", version: "01234567-89ab-4def-8123-456789abcdef" };
    expect(branchKeyOf({ ...branchKey, ciphertext: wrapped(bytes) })).toEqual(name);
  });

  it("tells no branch key of another provider", () => {
    expect(branchKeyOf({ ...branchKey, providerId: "aws-kms" })).toBeUndefined();
  });

  it.each([
    ["no id", { providerInfo: new Uint8Array() }],
    ["an id that is not UTF-8", { providerInfo: hex("ff") }],
    ["a ciphertext that is a byte short", { ciphertext: wrapped(31) }],
    ["a ciphertext that is a byte long", { ciphertext: wrapped(33) }],
    ["no ciphertext", { ciphertext: new Uint8Array() }],
    ["a UUID of version 1", { ciphertext: wrapped(32, hex("0123456789ab1def8123456789abcdef")) }],
    ["a UUID of another variant", { ciphertext: wrapped(32, hex("0123456789ab4defc123456789abcdef")) }],
  ])("refuses %s", (_, edit) => {
    expect(branchKeyOf(branchKey)).toBeDefined();
    expect(() => branchKeyOf({ ...branchKey, ...edit })).toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("reads a provider's information as text where it is UTF-8", () => {
    const [raw] = read(writeMessage()).encryptedDataKeys;
    expect(raw?.providerId).toBe(NAMESPACE);
    expect(raw && new TextDecoder().decode(raw.providerInfo).startsWith(KEY_NAME)).toBe(true);
    expect(raw && providerText({ ...raw, providerInfo: hex("ff") })).toBeUndefined();
    expect(providerText(branchKey)).toBe("tenant");
  });
});
