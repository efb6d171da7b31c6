/**
 * A strict reader of DER (X.690 §8, §10, §11), for the types that X.509 certificates and public keys use.
 *
 * Taken: definite, minimal lengths; single-octet tags; minimal INTEGERs and OBJECT IDENTIFIERs; BOOLEAN as 00 or FF; BIT
 * STRINGs whose unused bits are zero; UTCTime and GeneralizedTime in the one form of RFC 5280 §4.1.2.5; UTF8String,
 * PrintableString and IA5String held to their alphabets. Refused: everything else, and any byte after a value. Depth and
 * size are bounded, so hostile input costs time linear in its length.
 *
 * A reader walks the content of one constructed value: call a method per component, in the order of the ASN.1, then `end`.
 * Called by x509.ts and attestation/appraise.ts. KMS's CMS is BER, not DER: cms.ts reads that.
 *
 * Every refusal is ERR_DER_MALFORMED.
 */
import { ServiceError } from "./errors.js";

/** Identifier octets (X.690 §8.1.2). `contextPrimitive(n)` is `[n] IMPLICIT` of a primitive type. */
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

/** One value: its content octets, and the whole encoding (identifier and length included) as it stood in the input. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array<ArrayBuffer>;
  readonly encoded: Uint8Array<ArrayBuffer>;
}

/** Deeper than any certificate (an extension's value is at depth 6), shallower than any stack. */
const MAX_DEPTH = 12;

const malformed = (message: string): ServiceError => new ServiceError("ERR_DER_MALFORMED", message);

/**
 * Reads one DER value that fills `bytes` to the last octet. `read` gets a reader that stands before the value.
 * The elements handed out are views of `bytes`.
 * @throws ServiceError ERR_DER_MALFORMED when the value is not DER of the form `read` asks for, is longer than `maxBytes`,
 *   or is followed by anything.
 */
export function readDer<T>(bytes: Uint8Array<ArrayBuffer>, maxBytes: number, read: (reader: DerReader) => T): T {
  if (bytes.length > maxBytes) throw malformed(`expected at most ${maxBytes} bytes of DER, got ${bytes.length}`);
  const reader = new DerReader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}

/** A cursor over consecutive DER values. */
export class DerReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #depth: number;
  #offset = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>, depth = 0) {
    if (depth > MAX_DEPTH) throw malformed(`nested deeper than ${MAX_DEPTH} levels`);
    this.#bytes = bytes;
    this.#depth = depth;
  }

  /** Whether every value has been read. */
  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** Asserts that every value has been read. */
  end(): void {
    if (!this.atEnd) throw malformed(`${this.#bytes.length - this.#offset} bytes after the last expected value`);
  }

  /** Whether the next value has this identifier octet: for OPTIONAL, DEFAULT and CHOICE. */
  nextIs(tag: number): boolean {
    return this.#bytes[this.#offset] === tag;
  }

  /** The next value, without moving past it: for bytes that are kept as they stood besides being read. */
  peek(): DerElement {
    const start = this.#offset;
    const element = this.any();
    this.#offset = start;
    return element;
  }

  /** The next value, whatever its type. */
  any(): DerElement {
    const start = this.#offset;
    const tag = this.#octet();
    // X.690 §8.1.2.4: no type of the profile has a tag number over 30
    if ((tag & 0x1f) === 0x1f) throw malformed("multi-octet identifier");
    const length = this.#length();
    const contentStart = this.#offset;
    const end = contentStart + length;
    if (end > this.#bytes.length) throw malformed("value reaches beyond its container");
    this.#offset = end;
    return { tag, content: this.#bytes.subarray(contentStart, end), encoded: this.#bytes.subarray(start, end) };
  }

  /** The next value, which must have this identifier octet. */
  element(tag: number): DerElement {
    if (!this.nextIs(tag)) {
      const found = this.#bytes[this.#offset];
      throw malformed(`expected identifier ${hexOctet(tag)}, got ${found === undefined ? "the end" : hexOctet(found)}`);
    }
    return this.any();
  }

  /** A reader of a constructed value's components, which `read` must consume completely. */
  constructed<T>(tag: number, read: (components: DerReader) => T): T {
    return this.#inside(this.element(tag).content, read);
  }

  /** SEQUENCE or SEQUENCE OF. */
  sequence<T>(read: (components: DerReader) => T): T {
    return this.constructed(TAG.sequence, read);
  }

  /** OCTET STRING. */
  octetString(): Uint8Array<ArrayBuffer> {
    return this.element(TAG.octetString).content;
  }

  /** The one DER value inside an OCTET STRING, as in an extension's extnValue. */
  octetStringHolding<T>(read: (value: DerReader) => T): T {
    return this.#inside(this.octetString(), read);
  }

  /** BIT STRING of whole octets, the usual carrier of keys and signatures. */
  bitStringOctets(): Uint8Array<ArrayBuffer> {
    const { octets, unusedBits } = this.bitString();
    if (unusedBits !== 0) throw malformed("bit string is not a whole number of octets");
    return octets;
  }

  /** The one DER value inside a BIT STRING. */
  bitStringHolding<T>(read: (value: DerReader) => T): T {
    return this.#inside(this.bitStringOctets(), read);
  }

  /** BIT STRING (X.690 §8.6.2, §11.2.1: unused bits are zero). */
  bitString(): { octets: Uint8Array<ArrayBuffer>; unusedBits: number } {
    const { content } = this.element(TAG.bitString);
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
   * BIT STRING with named bits, as bit number → set (X.690 §11.2.2: no trailing zero bits).
   * Only the first 9 bits have names in any type of the profile; more are refused.
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
    const { content } = this.element(TAG.boolean);
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
    const { content } = this.element(TAG.integer);
    const [first, second] = content;
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
    if (magnitude.length > 4 || value > 0x7fff_ffff) throw malformed("integer is larger than 2^31-1");
    return value;
  }

  /** NULL. */
  null(): void {
    if (this.element(TAG.null).content.length !== 0) throw malformed("null has content");
  }

  /** OBJECT IDENTIFIER in dotted form (X.690 §8.19: minimal subidentifiers). */
  objectIdentifier(): string {
    return decodeObjectIdentifier(this.element(TAG.objectIdentifier).content);
  }

  /** UTF8String, PrintableString or IA5String as text. */
  text(): string {
    const { tag, content } = this.any();
    switch (tag) {
      case TAG.utf8String:
        return decodeUtf8(content);
      case TAG.printableString:
        return decodeAlphabet(content, PRINTABLE, "printable string");
      case TAG.ia5String:
        return decodeAlphabet(content, ASCII, "IA5 string");
      default:
        throw malformed(`expected a string type, got identifier ${hexOctet(tag)}`);
    }
  }

  /** `Time` of RFC 5280 §4.1.2.5: UTCTime `YYMMDDhhmmssZ` up to 2049, GeneralizedTime `YYYYMMDDhhmmssZ` from 2050. */
  time(): Date {
    const { tag, content } = this.any();
    const text = decodeAlphabet(content, ASCII, "time");
    if (tag === TAG.utcTime) return decodeTime(text, /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, windowedYear);
    if (tag !== TAG.generalizedTime) throw malformed(`expected a time, got identifier ${hexOctet(tag)}`);
    const time = decodeTime(text, /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, Number);
    if (time.getUTCFullYear() < 2050) throw malformed("generalized time of a year before 2050");
    return time;
  }

  #inside<T>(content: Uint8Array<ArrayBuffer>, read: (components: DerReader) => T): T {
    const reader = new DerReader(content, this.#depth + 1);
    const value = read(reader);
    reader.end();
    return value;
  }

  #octet(): number {
    const octet = this.#bytes[this.#offset];
    if (octet === undefined) throw malformed("input ends inside a value");
    this.#offset += 1;
    return octet;
  }

  /** Length octets (X.690 §8.1.3 and §10.1): definite, in the fewest octets. Two octets of length are plenty here. */
  #length(): number {
    const first = this.#octet();
    if (first < 0x80) return first;
    if (first === 0x81) {
      const length = this.#octet();
      if (length < 0x80) throw malformed("length is not minimal");
      return length;
    }
    if (first !== 0x82) throw malformed("length is indefinite, or of more than two octets");
    const length = this.#octet() * 256 + this.#octet();
    if (length < 0x100) throw malformed("length is not minimal");
    return length;
  }
}

const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: IA5String is all of ASCII, control characters included
const ASCII = /^[\x00-\x7f]*$/;

const hexOctet = (octet: number): string => `0x${octet.toString(16).padStart(2, "0")}`;

function decodeAlphabet(content: Uint8Array, alphabet: RegExp, what: string): string {
  const text = String.fromCharCode(...content);
  if (!alphabet.test(text)) throw malformed(`${what} has characters outside its alphabet`);
  return text;
}

function decodeUtf8(content: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw new ServiceError("ERR_DER_MALFORMED", "UTF-8 string is not UTF-8", { cause });
  }
}

/** RFC 5280 §4.1.2.5.1: 00..49 are 20YY, 50..99 are 19YY. */
const windowedYear = (digits: string): number => Number(digits) + (Number(digits) < 50 ? 2000 : 1900);

function decodeTime(text: string, form: RegExp, yearOf: (digits: string) => number): Date {
  const match = form.exec(text);
  if (!match) throw malformed("time is not in seconds and Zulu form");
  const [year, month, day, hour, minute, second] = match.slice(1);
  const iso = `${String(yearOf(year ?? "")).padStart(4, "0")}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = new Date(iso);
  // Date takes 31 February as 3 March, and 24:00:00 as the next day: a real instant survives the round trip
  if (Number.isNaN(time.getTime()) || time.toISOString() !== iso) throw malformed("time is not on the calendar");
  return time;
}

function decodeObjectIdentifier(content: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  let started = false;
  for (const octet of content) {
    if (!started && octet === 0x80) throw malformed("object identifier has a padded subidentifier");
    if (arc >= 2 ** 46) throw malformed("object identifier has a subidentifier over 2^53");
    arc = arc * 128 + (octet & 0x7f);
    started = (octet & 0x80) !== 0;
    if (!started) {
      arcs.push(arc);
      arc = 0;
    }
  }
  const [first] = arcs;
  if (first === undefined || started) throw malformed("object identifier ends inside a subidentifier");
  // X.690 §8.19.4: the first subidentifier packs the first two arcs
  const root = Math.min(Math.floor(first / 40), 2);
  return [root, first - root * 40, ...arcs.slice(1)].join(".");
}
