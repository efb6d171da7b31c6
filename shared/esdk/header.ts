/**
 * The header of an AWS Encryption SDK message, versions 1 and 2 (Developer Guide, "Message format reference"): what a message
 * says of itself in public bytes. encryption-context.ts and encrypted-data-keys.ts read its two lists.
 *
 * Refused: other versions and types, a suite that is unknown or of the other version, a framed message without a frame
 * length or an unframed one with it, reserved bytes that are not zero, and what the two lists refuse.
 *
 * Reading is not opening: whoever likes can write a header. It is authentic once the holder of the data key has verified its
 * tag (and, where the suite commits, the commitment).
 */
import type { ByteReader } from "../byte-reader.js";
import type { EncryptedDataKey } from "./encrypted-data-keys.js";
import { readEncryptedDataKeys } from "./encrypted-data-keys.js";
import type { EncryptionContext } from "./encryption-context.js";
import { readEncryptionContext } from "./encryption-context.js";
import { malformed, readerOf } from "./fields.js";
import type { Suite } from "./suites.js";
import { IV_BYTES, suiteOf, TAG_BYTES } from "./suites.js";

/** The one type of version 1, "customer authenticated encrypted data". */
const CUSTOMER_AUTHENTICATED_ENCRYPTED_DATA = 0x80;
const MESSAGE_ID_BYTES = { 1: 16, 2: 32 } as const;
const COMMITMENT_BYTES = 32;

export type MessageVersion = 1 | 2;

/** How the body is cut: into frames of `frameLength` bytes of content, the last one shorter or not; or not at all. */
export type ContentType = { readonly kind: "framed"; readonly frameLength: number } | { readonly kind: "unframed" };

/** All bytes are views on the input. */
export interface MessageHeader {
  readonly version: MessageVersion;
  readonly suite: Suite;
  readonly messageId: Uint8Array;
  readonly encryptionContext: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  readonly contentType: ContentType;
  /** Of a suite that commits, otherwise undefined. */
  readonly commitment: Uint8Array | undefined;
  /** The bytes that `tag` authenticates: all of the header up to `iv` and `tag`. */
  readonly authenticated: Uint8Array;
  /** All zero in version 2, whose headers do not carry it. */
  readonly iv: Uint8Array;
  readonly tag: Uint8Array;
  /** Bytes of the header with its tag: where the body starts. */
  readonly length: number;
}

export interface ReadOptions {
  /** A message with more is refused before one is read: each may cost a call of KMS. */
  readonly maxEncryptedDataKeys: number;
}

/**
 * Reads the header at the start of `bytes`, which may go on after it. On return its structure is exactly the format's.
 * Does not check that the header is authentic, nor what the encryption context says.
 * @throws ServiceError ERR_MESSAGE_MALFORMED, also when the bytes end inside the header.
 */
export function readHeader(bytes: Uint8Array, { maxEncryptedDataKeys }: ReadOptions): MessageHeader {
  const reader = readerOf(bytes);
  const { version, suite } = readVersionAndSuite(reader);
  const messageId = reader.take(MESSAGE_ID_BYTES[version]);
  const encryptionContext = readEncryptionContext(reader);
  const encryptedDataKeys = readEncryptedDataKeys(reader, maxEncryptedDataKeys);
  const contentType = version === 1 ? readContentTypeV1(reader) : readContentType(reader, reader.uint(1));
  const commitment = suite.commits ? reader.take(COMMITMENT_BYTES) : undefined;
  const authenticated = bytes.subarray(0, bytes.length - reader.remaining);
  const iv = version === 1 ? reader.take(IV_BYTES) : new Uint8Array(IV_BYTES);
  const tag = reader.take(TAG_BYTES);
  const length = bytes.length - reader.remaining;
  const lists = { encryptionContext, encryptedDataKeys };
  return { version, suite, messageId, ...lists, contentType, commitment, authenticated, iv, tag, length };
}

function readVersionAndSuite(reader: ByteReader): { version: MessageVersion; suite: Suite } {
  const version = reader.uint(1);
  if (version !== 1 && version !== 2) throw malformed(`expected a message of version 1 or 2, it was ${version}`);
  if (version === 1) expectUint(reader, 1, { value: CUSTOMER_AUTHENTICATED_ENCRYPTED_DATA, what: "message type" });
  const suite = suiteOf(reader.uint(2));
  if (suite === undefined) throw malformed("expected a known algorithm suite, it was another");
  // Message format reference, "Version": suites with key commitment are of version 2, the others of version 1.
  if (suite.commits !== (version === 2)) throw malformed(`expected an algorithm suite of version ${version}`);
  return { version, suite };
}

/** Version 1 has four reserved bytes and the length of the IV between content type and frame length. */
function readContentTypeV1(reader: ByteReader): ContentType {
  const code = reader.uint(1);
  expectUint(reader, 4, { value: 0, what: "reserved field" });
  expectUint(reader, 1, { value: IV_BYTES, what: "IV length" });
  return readContentType(reader, code);
}

function readContentType(reader: ByteReader, code: number): ContentType {
  const frameLength = reader.uint(4);
  if (code === 1 && frameLength === 0) return { kind: "unframed" };
  if (code === 2 && frameLength > 0) return { kind: "framed", frameLength };
  throw malformed("expected framed content with a frame length or unframed content without, it was neither");
}

function expectUint(reader: ByteReader, length: number, { value, what }: { value: number; what: string }): void {
  const found = reader.uint(length);
  if (found !== value) throw malformed(`expected ${what} ${value}, it was ${found}`);
}
