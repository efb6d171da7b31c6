/**
 * The body and the footer of an AWS Encryption SDK message that is in memory as a whole (Developer Guide, "Message format
 * reference"), and the bytes that authenticate each part of the body ("Body AAD reference").
 *
 * Refused: frames out of sequence, a message without its final frame, a final frame longer than the frame length, a signed
 * message without its signature, and anything after the end. Every length is held against the bytes that are there; a list
 * of parts is all that is allocated, and a part takes 33 bytes or more of the message but for the last.
 *
 * Nothing is decrypted and nothing verified here.
 */
import type { ByteReader } from "../byte-reader.js";
import { concatBytes, utf8 } from "../bytes.js";
import { malformed, readBlock, readerOf } from "./fields.js";
import type { MessageHeader, ReadOptions } from "./header.js";
import { readHeader } from "./header.js";
import { IV_BYTES, TAG_BYTES } from "./suites.js";

/** Where the sequence number of a regular frame would be. */
const FINAL_FRAME = 0xffff_ffff;

export type PartKind = "regularFrame" | "finalFrame" | "unframed";

/** What is encrypted at once. All bytes are views on the input. */
export interface BodyPart {
  readonly kind: PartKind;
  /** From 1, without gaps. An unframed body is number 1. */
  readonly sequenceNumber: number;
  readonly iv: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

export interface Message {
  readonly header: MessageHeader;
  /** In order; the last one is the final frame, or the unframed body. */
  readonly parts: readonly BodyPart[];
  /** Bytes of all ciphertexts, and so of the plaintext. */
  readonly plaintextLength: number;
  /** DER of the ECDSA signature over header and body, of a suite that signs; otherwise undefined. */
  readonly signature: Uint8Array | undefined;
}

/**
 * Reads a whole message. On return its structure is exactly the format's.
 * Does not check a tag, the commitment, or that the signature is DER.
 * @throws ServiceError ERR_MESSAGE_MALFORMED
 */
export function readMessage(bytes: Uint8Array, options: ReadOptions): Message {
  const header = readHeader(bytes, options);
  const reader = readerOf(bytes.subarray(header.length));
  const parts = readParts(reader, header);
  const plaintextLength = parts.reduce((sum, { ciphertext }) => sum + ciphertext.length, 0);
  const signature = header.suite.signed ? readSignature(reader) : undefined;
  if (!reader.atEnd) throw malformed("expected the message to end, it went on");
  return { header, parts, plaintextLength, signature };
}

function readParts(reader: ByteReader, { contentType }: MessageHeader): BodyPart[] {
  if (contentType.kind === "unframed") return [readUnframed(reader)];
  const parts: BodyPart[] = [];
  while (parts.at(-1)?.kind !== "finalFrame") parts.push(readFrame(reader, contentType.frameLength, parts.length + 1));
  return parts;
}

function readFrame(reader: ByteReader, frameLength: number, expected: number): BodyPart {
  const first = reader.uint(4);
  const kind = first === FINAL_FRAME ? "finalFrame" : "regularFrame";
  const sequenceNumber = kind === "finalFrame" ? reader.uint(4) : first;
  if (sequenceNumber !== expected) throw malformed(`expected frame ${expected}, it was number ${sequenceNumber}`);
  const iv = reader.take(IV_BYTES);
  const length = kind === "finalFrame" ? reader.uint(4) : frameLength;
  if (length > frameLength) throw malformed(`expected a final frame of at most ${frameLength} bytes, it was ${length}`);
  return { kind, sequenceNumber, iv, ciphertext: reader.take(length), tag: reader.take(TAG_BYTES) };
}

function readUnframed(reader: ByteReader): BodyPart {
  const iv = reader.take(IV_BYTES);
  // Exact up to 2^53; above, a neighbour of the length, which no input has either.
  const length = reader.uint(4) * 2 ** 32 + reader.uint(4);
  return { kind: "unframed", sequenceNumber: 1, iv, ciphertext: reader.take(length), tag: reader.take(TAG_BYTES) };
}

function readSignature(reader: ByteReader): Uint8Array {
  const signature = readBlock(reader);
  if (signature.length === 0) throw malformed("expected a signature, it was empty");
  return signature;
}

/** The content strings of the Body AAD reference. */
const CONTENT: Readonly<Record<PartKind, Uint8Array>> = {
  regularFrame: utf8("AWSKMSEncryptionClient Frame"),
  finalFrame: utf8("AWSKMSEncryptionClient Final Frame"),
  unframed: utf8("AWSKMSEncryptionClient Single Block"),
};

const SEQUENCE_NUMBER_BYTES = 4;
const LENGTH_BYTES = 8;

export interface PartPlace {
  readonly kind: PartKind;
  readonly sequenceNumber: number;
  readonly contentLength: number;
}

/** What the tag of a part authenticates besides its content: the message, the kind of part, its number and its length. */
export function bodyAad(
  messageId: Uint8Array,
  { kind, sequenceNumber, contentLength }: PartPlace,
): Uint8Array<ArrayBuffer> {
  const aad = concatBytes(messageId, CONTENT[kind], new Uint8Array(SEQUENCE_NUMBER_BYTES + LENGTH_BYTES));
  const numbers = new DataView(aad.buffer, aad.length - SEQUENCE_NUMBER_BYTES - LENGTH_BYTES);
  numbers.setUint32(0, sequenceNumber);
  numbers.setBigUint64(SEQUENCE_NUMBER_BYTES, BigInt(contentLength));
  return aad;
}
