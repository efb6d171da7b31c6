/** Fields that the parts of an AWS Encryption SDK message share: the cursor, blocks behind their length, UTF-8 text. */
import { ByteReader } from "../byte-reader.js";
import { ServiceError } from "../errors.js";

/** A structural refusal: nothing in a message's structure is secret, so the text may say which. */
export const malformed = (message: string): ServiceError => new ServiceError("ERR_MESSAGE_MALFORMED", message);

/** A cursor over (part of) a message. */
export const readerOf = (bytes: Uint8Array): ByteReader => new ByteReader(bytes, malformed);

/** The bytes behind a length of 2 bytes, as a view. @throws ServiceError ERR_MESSAGE_MALFORMED */
export const readBlock = (reader: ByteReader): Uint8Array => reader.take(reader.uint(2));

/** Strict; a byte order mark is text as any other, so that two names are equal only when their bytes are. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of UTF-8 bytes, or undefined when they are not UTF-8 (RFC 3629). */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined; // TypeError: the bytes are not UTF-8
  }
}

/** The UTF-8 text behind a length of 2 bytes. @throws ServiceError ERR_MESSAGE_MALFORMED */
export function readText(reader: ByteReader, what: string): string {
  const text = textOf(readBlock(reader));
  if (text === undefined) throw malformed(`expected ${what} in UTF-8, it was not`);
  return text;
}
