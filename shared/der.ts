/**
 * A strict reader of DER (X.690 §8, §10, §11), for the types that X.509 certificates and public keys use.
 *
 * Taken: definite, minimal lengths; single-octet tags; minimal INTEGERs and OBJECT IDENTIFIERs; BOOLEAN as 00 or FF; BIT
 * STRINGs whose unused bits are zero; UTCTime and GeneralizedTime in the one form of RFC 5280 §4.1.2.5; UTF8String,
 * PrintableString and IA5String held to their alphabets. Refused: everything else, and any byte after a value. Depth and
 * size are bounded, so hostile input costs time linear in its length.
 *
 * A reader walks the content of one constructed value: call a method per component, in the order of the ASN.1.
 * Called by x509.ts and rsa-public-key.ts. KMS's CMS is BER, not DER: cms.ts reads that.
 *
 * Every refusal is ERR_DER_MALFORMED.
 */
import { ServiceError } from "./errors.js";

/** Identifier octets (X.690 §8.1.2). */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[n]`, constructed: what an EXPLICIT tag gives. */
export const contextConstructed = (n: number): number => 0xa0 | n;

/** Deeper than any certificate (an extension's value is at depth 6), shallower than any stack. */
const MAX_DEPTH = 12;

const malformed = (message: string): ServiceError => new ServiceError("ERR_DER_MALFORMED", message);

/**
 * Reads one DER value that fills `bytes` to the last octet. `read` gets a reader that stands before the value.
 * The byte strings handed out are views of `bytes`.
 * @throws ServiceError ERR_DER_MALFORMED when the value is not DER of the form `read` asks for, is longer than `maxBytes`,
 *   or is followed by anything.
 */
export function readDer<T>(bytes: Uint8Array<ArrayBuffer>, maxBytes: number, read: (reader: DerReader) => T): T {
  if (bytes.length > maxBytes) throw malformed(`expected at most ${maxBytes} bytes of DER, got ${bytes.length}`);
  const reader = new DerReader(bytes, 0, bytes.length);
  const value = read(reader);
  reader.end();
  return value;
}

/**
 * A cursor over consecutive DER values. It works on offsets and makes views only of what is handed out: a chain has some
 * four hundred values, and their reading stands between every request and its answer.
 */
export class DerReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #end: number;
  readonly #depth: number;
  #offset: number;
  /** Where the content of the value read last begins; it ends at #offset. */
  #contentStart: number;

  constructor(bytes: Uint8Array<ArrayBuffer>, start: number, end: number, depth = 0) {
    if (depth > MAX_DEPTH) throw malformed(`nested deeper than ${MAX_DEPTH} levels`);
    this.#bytes = bytes;
    this.#offset = start;
    this.#contentStart = start;
    this.#end = end;
    this.#depth = depth;
  }

  /** Whether every value has been read. */
  get atEnd(): boolean {
    return this.#offset === this.#end;
  }

  /** Asserts that every value has been read. */
  end(): void {
    if (!this.atEnd) throw malformed(`${this.#end - this.#offset} bytes after the last expected value`);
  }

  /** Whether the next value has this identifier octet: for OPTIONAL, DEFAULT and CHOICE. */
  nextIs(tag: number): boolean {
    return !this.atEnd && this.#bytes[this.#offset] === tag;
  }

  /** The encoding of the next value, identifier and length included, without moving past it. */
  peekEncoded(): Uint8Array<ArrayBuffer> {
    const start = this.#offset;
    this.#next();
    const encoded = this.#bytes.subarray(start, this.#offset);
    this.#offset = start;
    return encoded;
  }

  /** The encoding of the next value, which must have this identifier octet. */
  encoded(tag: number): Uint8Array<ArrayBuffer> {
    const start = this.#offset;
    this.#expect(tag);
    return this.#bytes.subarray(start, this.#offset);
  }

  /** The content of the next value, which must have this identifier octet. */
  content(tag: number): Uint8Array<ArrayBuffer> {
    this.#expect(tag);
    return this.#content();
  }

  /** A constructed value, whose components `read` must consume to the last. */
  constructed<T>(tag: number, read: (components: DerReader) => T): T {
    this.#expect(tag);
    return this.#inside(this.#contentStart, read);
  }

  /** SEQUENCE or SEQUENCE OF. */
  sequence<T>(read: (components: DerReader) => T): T {
    return this.constructed(TAG.sequence, read);
  }

  /** OCTET STRING. */
  octetString(): Uint8Array<ArrayBuffer> {
    return this.content(TAG.octetString);
  }

  /** OCTET STRING that holds one DER value, as an extension's extnValue. */
  octetStringHolding<T>(read: (value: DerReader) => T): T {
    return this.constructed(TAG.octetString, read);
  }

  /** BIT STRING of whole octets, as keys and signatures are. */
  bitStringOctets(): Uint8Array<ArrayBuffer> {
    const { octets, unusedBits } = this.bitString();
    if (unusedBits !== 0) throw malformed("bit string is not a whole number of octets");
    return octets;
  }

  /** BIT STRING that holds one DER value. */
  bitStringHolding<T>(read: (value: DerReader) => T): T {
    this.bitStringOctets();
    return this.#inside(this.#contentStart + 1, read);
  }

  /** BIT STRING (X.690 §8.6.2, §11.2.1: unused bits are zero). */
  bitString(): { octets: Uint8Array<ArrayBuffer>; unusedBits: number } {
    const content = this.content(TAG.bitString);
    const unusedBits = content[0];
    if (unusedBits === undefined || unusedBits > 7) throw malformed("bit string without a count of unused bits 0..7");
    const octets = content.subarray(1);
    const last = octets.at(-1);
    if (last === undefined ? unusedBits > 0 : (last & ((1 << unusedBits) - 1)) !== 0) {
      throw malformed("bit string whose unused bits are not zero");
    }
    return { octets, unusedBits };
  }

  /**
   * BIT STRING with named bits (X.690 §11.2.2: no trailing zero bits), as a function from bit number to whether it is set.
   * No type of the profile names more than 9 bits; more are refused.
   */
  namedBits(): (bit: number) => boolean {
    const { octets, unusedBits } = this.bitString();
    const last = octets.at(-1);
    if (last !== undefined && ((last >> unusedBits) & 1) === 0) throw malformed("named bits end in a zero bit");
    if (octets.length * 8 - unusedBits > 9) throw malformed("more than 9 named bits");
    return (bit) => (((octets[bit >> 3] ?? 0) << (bit & 7)) & 0x80) !== 0;
  }

  /** BOOLEAN (X.690 §11.1: TRUE is FF). */
  boolean(): boolean {
    const content = this.content(TAG.boolean);
    if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff))
      throw malformed("boolean is not 00 or FF");
    return content[0] === 0xff;
  }

  /** BOOLEAN DEFAULT FALSE (X.690 §11.5: the default value is left out, never written). */
  booleanDefaultFalse(): boolean {
    if (!this.nextIs(TAG.boolean)) return false;
    if (!this.boolean()) throw malformed("default value FALSE is written out");
    return true;
  }

  /** INTEGER that is not negative, as its magnitude without leading zeros (X.690 §8.3.2: minimal). Zero is one 00 octet. */
  unsignedInteger(): Uint8Array<ArrayBuffer> {
    const content = this.content(TAG.integer);
    const first = content[0];
    const second = content[1];
    if (first === undefined) throw malformed("integer without content");
    if (first >= 0x80) throw malformed("integer is negative");
    if (first !== 0 || second === undefined) return content;
    if (second < 0x80) throw malformed("integer is not minimal");
    return content.subarray(1);
  }

  /** INTEGER of 0..2^31-1, for counts and versions. */
  smallInteger(): number {
    const magnitude = this.unsignedInteger();
    const value = magnitude.reduce((sum, octet) => sum * 256 + octet, 0);
    if (value > 0x7fff_ffff) throw malformed("integer is larger than 2^31-1");
    return value;
  }

  /** NULL. */
  null(): void {
    if (this.content(TAG.null).length !== 0) throw malformed("null has content");
  }

  /** OBJECT IDENTIFIER in dotted form (X.690 §8.19: minimal subidentifiers). */
  objectIdentifier(): string {
    this.#expect(TAG.objectIdentifier);
    let dotted = "";
    let arc = 0;
    let inside = false;
    for (let i = this.#contentStart; i < this.#offset; i++) {
      const octet = this.#bytes[i] ?? 0;
      if (!inside && octet === 0x80) throw malformed("object identifier has a padded subidentifier");
      if (arc >= 2 ** 46) throw malformed("object identifier has a subidentifier over 2^53");
      arc = arc * 128 + (octet & 0x7f);
      inside = (octet & 0x80) !== 0;
      if (inside) continue;
      dotted += dotted === "" ? firstArcs(arc) : `.${arc}`;
      arc = 0;
    }
    if (inside || dotted === "") throw malformed("object identifier ends inside a subidentifier");
    return dotted;
  }

  /** UTF8String, PrintableString or IA5String as text. */
  text(): string {
    const tag = this.#next();
    const text = decodeUtf8(this.#content());
    if (tag === TAG.utf8String) return text;
    const alphabet = tag === TAG.printableString ? PRINTABLE : tag === TAG.ia5String ? ASCII : undefined;
    if (alphabet === undefined) throw malformed(`expected a string type, got identifier ${hexOctet(tag)}`);
    if (!alphabet.test(text)) throw malformed("string has characters outside the alphabet of its type");
    return text;
  }

  /** `Time` of RFC 5280 §4.1.2.5: UTCTime `YYMMDDhhmmssZ` up to 2049, GeneralizedTime `YYYYMMDDhhmmssZ` from 2050. */
  time(): Date {
    const tag = this.#next();
    if (tag === TAG.utcTime) {
      const [year = 0, ...rest] = this.#pairsOfDigits(6);
      // RFC 5280 §4.1.2.5.1: 00..49 are 20YY, 50..99 are 19YY
      return calendarTime(year < 50 ? 2000 + year : 1900 + year, rest);
    }
    if (tag !== TAG.generalizedTime) throw malformed(`expected a time, got identifier ${hexOctet(tag)}`);
    const [century = 0, year = 0, ...rest] = this.#pairsOfDigits(7);
    if (century * 100 + year < 2050) throw malformed("generalized time of a year before 2050");
    return calendarTime(century * 100 + year, rest);
  }

  /** The content of the value read last as `count` two-digit numbers and a Z. */
  #pairsOfDigits(count: number): number[] {
    if (this.#offset - this.#contentStart !== 2 * count + 1 || this.#bytes[this.#offset - 1] !== 0x5a) {
      throw malformed("time is not in seconds and Zulu form");
    }
    return Array.from({ length: count }, (_, i) => 10 * this.#digit(2 * i) + this.#digit(2 * i + 1));
  }

  #digit(at: number): number {
    const digit = (this.#bytes[this.#contentStart + at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) throw malformed("time has other characters than digits");
    return digit;
  }

  #inside<T>(contentStart: number, read: (components: DerReader) => T): T {
    const reader = new DerReader(this.#bytes, contentStart, this.#offset, this.#depth + 1);
    const value = read(reader);
    reader.end();
    return value;
  }

  /** The content of the value read last. */
  #content(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#contentStart, this.#offset);
  }

  #expect(tag: number): void {
    if (this.nextIs(tag)) this.#next();
    else throw malformed(`expected identifier ${hexOctet(tag)}, got ${this.#describeNext()}`);
  }

  #describeNext(): string {
    return this.atEnd ? "the end" : hexOctet(this.#bytes[this.#offset] ?? 0);
  }

  /** Moves past the next value and returns its identifier octet. */
  #next(): number {
    const tag = this.#octet();
    // X.690 §8.1.2.4: no type of the profile has a tag number over 30
    if ((tag & 0x1f) === 0x1f) throw malformed("identifier of more than one octet");
    const length = this.#length();
    if (length > this.#end - this.#offset) throw malformed("value reaches beyond its container");
    this.#contentStart = this.#offset;
    this.#offset += length;
    return tag;
  }

  #octet(): number {
    if (this.atEnd) throw malformed("input ends inside a value");
    const octet = this.#bytes[this.#offset] ?? 0;
    this.#offset += 1;
    return octet;
  }

  /** Length octets (X.690 §8.1.3, §10.1): definite, and in as few octets as it can be. Two octets of length are plenty. */
  #length(): number {
    const first = this.#octet();
    if (first < 0x80) return first;
    if (first !== 0x81 && first !== 0x82) throw malformed("length is indefinite, or of more than two octets");
    const length = first === 0x81 ? this.#octet() : this.#octet() * 256 + this.#octet();
    if (length < (first === 0x81 ? 0x80 : 0x100)) throw malformed("length is not minimal");
    return length;
  }
}

const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: IA5String is all of ASCII, control characters included
const ASCII = /^[\x00-\x7f]*$/;

const hexOctet = (octet: number): string => `0x${octet.toString(16).padStart(2, "0")}`;

/** X.690 §8.19.4: the first subidentifier is 40 times the first arc plus the second, and only arc 2 has seconds over 39. */
function firstArcs(subidentifier: number): string {
  const first = Math.min(Math.floor(subidentifier / 40), 2);
  return `${first}.${subidentifier - 40 * first}`;
}

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeUtf8(content: Uint8Array): string {
  try {
    return utf8Decoder.decode(content);
  } catch (cause) {
    throw new ServiceError("ERR_DER_MALFORMED", "string is not UTF-8", { cause });
  }
}

/** The instant with this year, month, day, hour, minute and second, which must exist. */
function calendarTime(year: number, [month = 0, day = 0, hour = 0, minute = 0, second = 0]: readonly number[]): Date {
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // Date.UTC carries over (31 February is 3 March, 24:00 the next day); in an instant that exists, nothing was carried
  const carried = time.getUTCMonth() + 1 !== month || time.getUTCDate() !== day || time.getUTCHours() !== hour;
  if (carried || minute > 59 || second > 59) throw malformed("time is not on the calendar");
  return time;
}
