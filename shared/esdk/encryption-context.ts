/**
 * The encryption context in a message's header ("AAD" in the message format): name-value pairs that are authenticated with
 * the data key and with the message, and that anybody can read.
 *
 * Refused: a name that comes twice, more than 256 pairs, text that is not UTF-8, a count of zero (no pairs are written as a
 * length of zero), bytes after the last pair. Not checked: that the pairs are sorted by the bytes of their names, as the
 * specification says, because SDKs have sorted by UTF-16 code units.
 */
import type { ByteReader } from "../byte-reader.js";
import { malformed, readerOf, readText } from "./fields.js";

/** Far above what KMS takes in its 8 KiB of context: bounds the work that a header can ask for. */
export const MAX_CONTEXT_PAIRS = 256;

/** Pairs in the order of the message. A Map, because an object would move names that are integers to its front. */
export type EncryptionContext = ReadonlyMap<string, string>;

/** Reads the encryption context behind its length of 2 bytes. @throws ServiceError ERR_MESSAGE_MALFORMED */
export function readEncryptionContext(header: ByteReader): EncryptionContext {
  const length = header.uint(2);
  return length === 0 ? new Map() : readPairs(header.take(length));
}

function readPairs(bytes: Uint8Array): EncryptionContext {
  const reader = readerOf(bytes);
  const count = reader.uint(2);
  if (count === 0 || count > MAX_CONTEXT_PAIRS) {
    throw malformed(`expected 1 to ${MAX_CONTEXT_PAIRS} pairs of encryption context, there were ${count}`);
  }
  const pairs = new Map<string, string>();
  for (let i = 0; i < count; i++) readPair(reader, pairs);
  if (!reader.atEnd) throw malformed("expected the encryption context to end with its last pair, it did not");
  return pairs;
}

function readPair(reader: ByteReader, pairs: Map<string, string>): void {
  const name = readText(reader, "a name of encryption context");
  const value = readText(reader, "a value of encryption context");
  if (pairs.has(name)) throw malformed("expected every name of encryption context once, one came twice");
  pairs.set(name, value);
}
