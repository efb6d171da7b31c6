/**
 * AWS Encryption SDK messages for the tests of their reader: made by the SDK under raw AES keyrings, or written field by field
 * here and authenticated with the data key, so that a wrong field is the only thing wrong (and for unframed bodies, which the
 * SDK for JavaScript reads and does not write).
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { EncryptionContext } from "@aws-crypto/client-node";
import { buildClient, CommitmentPolicy, RawAesKeyringNode } from "@aws-crypto/client-node";
import { encodeUint } from "../../shared/byte-writer.js";
import { concatBytes, utf8 } from "../../shared/bytes.js";
import type { PartKind } from "../../shared/esdk/body.js";
import { readBlock, readerOf } from "../../shared/esdk/fields.js";
import { readHeader } from "../../shared/esdk/header.js";

/** AES-256-GCM with a 12-byte IV and a 16-byte tag: the SDK counts its wrapping suites with the message suites. */
const WRAPPING_SUITE = 0x0078;

export const NAMESPACE = "namespace";
export const KEY_NAME = "key";
export const WRAPPING_KEY = new Uint8Array(32).fill(0x11);

/** A keyring whose one key is WRAPPING_KEY. */
export const rawKeyring = (keyName = KEY_NAME): RawAesKeyringNode =>
  new RawAesKeyringNode({
    keyNamespace: NAMESPACE,
    keyName,
    unencryptedMasterKey: new Uint8Array(WRAPPING_KEY),
    wrappingSuite: WRAPPING_SUITE,
    utf8Sorting: true,
  });

export const isCommitted = (suite: number): boolean => suite >= 0x0400;

export const sdkFor = (suite: number) =>
  buildClient({
    commitmentPolicy: isCommitted(suite)
      ? CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
      : CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
    maxEncryptedDataKeys: 10,
  });

export interface SdkMessageOptions {
  readonly suite: number;
  readonly context?: EncryptionContext;
  readonly frameLength?: number;
}

/** A message by the SDK's own `encrypt`. */
export async function sdkMessage(plaintext: Uint8Array, options: SdkMessageOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { suite, context = {}, frameLength = 64 } = options;
  const sdkOptions = { suiteId: suite, encryptionContext: context, frameLength };
  const { result } = await sdkFor(suite).encrypt(rawKeyring(), plaintext, sdkOptions);
  return new Uint8Array(result);
}

export interface Part {
  readonly kind: PartKind;
  readonly sequenceNumber: number;
  readonly plaintext: Uint8Array;
}

/** Every field of a message of suite 0x0178 or 0x0478; what is missing is as it should be. */
export interface MessageFields {
  readonly suite?: 0x0178 | 0x0478;
  readonly dataKey?: Uint8Array;
  readonly version?: number;
  readonly type?: number;
  readonly suiteField?: number;
  readonly messageId?: Uint8Array;
  /** The whole field, with its length. */
  readonly context?: Uint8Array;
  /** The whole field, with its count. */
  readonly encryptedDataKeys?: Uint8Array;
  readonly contentType?: number;
  readonly reserved?: number;
  readonly ivLength?: number;
  readonly frameLength?: number;
  readonly commitment?: Uint8Array;
  readonly parts?: readonly Part[];
  readonly after?: Uint8Array;
}

/** What `writeMessage` uses. */
export const DATA_KEY = new Uint8Array(32).fill(0x22);

/** `bytes` behind their length of 2 bytes. */
export const block = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => concatBytes(encodeUint(bytes.length, 2), bytes);

/** The field of encryption context with these pairs, as they come. */
export function contextField(...pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array<ArrayBuffer> {
  if (pairs.length === 0) return encodeUint(0, 2);
  const entries = pairs.flatMap(([name, value]) => [block(name), block(value)]);
  return block(concatBytes(encodeUint(pairs.length, 2), ...entries));
}

/** One encrypted data key. */
export const dataKeyField = (provider: string, info: Uint8Array, ciphertext: Uint8Array): Uint8Array<ArrayBuffer> =>
  concatBytes(block(utf8(provider)), block(info), block(ciphertext));

/** What the raw AES keyring writes for `dataKey` under the pairs of a field of encryption context. */
function wrappedDataKey(dataKey: Uint8Array, context: Uint8Array): Uint8Array<ArrayBuffer> {
  const iv = randomBytes(12);
  const info = concatBytes(utf8(KEY_NAME), encodeUint(128, 4), encodeUint(12, 4), iv);
  const { ciphertext, tag } = encrypt(WRAPPING_KEY, { iv, aad: context.subarray(2), plaintext: dataKey });
  return dataKeyField(NAMESPACE, info, concatBytes(ciphertext, tag));
}

/** Version, suite and message id, before the length of the encryption context. */
const BEFORE_CONTEXT_BYTES = { 1: 20, 2: 35 } as const;

/** The data key of a message that `sdkMessage` made. */
export function dataKeyOf(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const {
    encryptedDataKeys: [wrapped],
    version,
  } = readHeader(message, { maxEncryptedDataKeys: 1 });
  if (wrapped === undefined) throw new TypeError("expected a data key");
  const context = readerOf(message.subarray(BEFORE_CONTEXT_BYTES[version]));
  const tagStart = wrapped.ciphertext.length - 16;
  const decipher = createDecipheriv("aes-256-gcm", WRAPPING_KEY, wrapped.providerInfo.subarray(-12));
  decipher.setAAD(readBlock(context)).setAuthTag(wrapped.ciphertext.subarray(tagStart));
  return concatBytes(decipher.update(wrapped.ciphertext.subarray(0, tagStart)), decipher.final());
}

export function writeMessage(fields: MessageFields = {}): Uint8Array<ArrayBuffer> {
  const { suite = 0x0478, dataKey = DATA_KEY } = fields;
  const messageId = fields.messageId ?? randomBytes(suite === 0x0478 ? 32 : 16);
  const { key, commitment } = deriveKeys(suite, dataKey, messageId);
  const { parts = [{ kind: "finalFrame", sequenceNumber: 1, plaintext: utf8("plaintext") }], after } = fields;
  const header = headerOf({ ...fields, suite, messageId }, fields.commitment ?? commitment);
  const iv = new Uint8Array(12);
  const { tag } = encrypt(key, { iv, aad: header, plaintext: new Uint8Array() });
  const authentication = suite === 0x0478 ? tag : concatBytes(iv, tag);
  const body = parts.map((part) => partOf(part, key, messageId));
  return concatBytes(header, authentication, ...body, after ?? new Uint8Array());
}

function headerOf(fields: MessageFields & { suite: number; messageId: Uint8Array }, commitment: Uint8Array) {
  const { suite, messageId, version = suite === 0x0478 ? 2 : 1, frameLength = 64 } = fields;
  const { type = 0x80, suiteField = suite, contentType = 2, reserved = 0, ivLength = 12 } = fields;
  const first = version === 1 ? [encodeUint(version, 1), encodeUint(type, 1)] : [encodeUint(version, 1)];
  const unused = suite === 0x0478 ? [] : [encodeUint(reserved, 4), encodeUint(ivLength, 1)];
  const context = fields.context ?? contextField();
  const wrapped = () => wrappedDataKey(fields.dataKey ?? DATA_KEY, context);
  const dataKeys = fields.encryptedDataKeys ?? concatBytes(encodeUint(1, 2), wrapped());
  const lists = concatBytes(encodeUint(suiteField, 2), messageId, context, dataKeys);
  const content = concatBytes(encodeUint(contentType, 1), ...unused, encodeUint(frameLength, 4));
  return concatBytes(...first, lists, content, commitment);
}

/** AWS Encryption SDK, "Algorithms reference": HKDF with the message id in info, or with it as salt and fixed labels. */
function deriveKeys(suite: number, dataKey: Uint8Array, messageId: Uint8Array) {
  const none = new Uint8Array();
  if (suite === 0x0178) {
    const info = concatBytes(encodeUint(suite, 2), messageId);
    return { key: new Uint8Array(hkdfSync("sha256", dataKey, none, info, 32)), commitment: none };
  }
  const label = (text: string, id: Uint8Array) =>
    new Uint8Array(hkdfSync("sha512", dataKey, messageId, concatBytes(id, utf8(text)), 32));
  return { key: label("DERIVEKEY", encodeUint(suite, 2)), commitment: label("COMMITKEY", none) };
}

/** The content strings, from the Body AAD reference. */
const LABELS = {
  regularFrame: "AWSKMSEncryptionClient Frame",
  finalFrame: "AWSKMSEncryptionClient Final Frame",
  unframed: "AWSKMSEncryptionClient Single Block",
} as const;

function partOf({ kind, sequenceNumber, plaintext }: Part, key: Uint8Array, messageId: Uint8Array) {
  const iv = concatBytes(new Uint8Array(8), encodeUint(sequenceNumber, 4));
  const length = concatBytes(new Uint8Array(4), encodeUint(plaintext.length, 4));
  const aad = concatBytes(messageId, utf8(LABELS[kind]), encodeUint(sequenceNumber, 4), length);
  const { ciphertext, tag } = encrypt(key, { iv, aad, plaintext });
  const number = encodeUint(sequenceNumber, 4);
  const before = {
    regularFrame: [number, iv],
    finalFrame: [encodeUint(0xffff_ffff, 4), number, iv, length.subarray(4)],
    unframed: [iv, length],
  }[kind];
  return concatBytes(...before, ciphertext, tag);
}

function encrypt(key: Uint8Array, { iv, aad, plaintext }: { iv: Uint8Array; aad: Uint8Array; plaintext: Uint8Array }) {
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(aad);
  const ciphertext = concatBytes(cipher.update(plaintext), cipher.final());
  return { ciphertext, tag: new Uint8Array(cipher.getAuthTag()) };
}
