/**
 * CBOR (RFC 8949), the strict subset that the NSM, COSE and attestation documents need.
 *
 * Taken: integers, byte and text strings, arrays, maps with text or integer keys, false, true, null; definite and
 * minimal lengths (§4.2.1); with `indefiniteMaps`, also maps of indefinite length (§3.2.2), which genuine attestation
 * documents have since mid-2025; with `tag`, that one tag around the whole. Refused: every other tag, floats, undefined
 * and simple values, other indefinite lengths, duplicate keys, text that is not UTF-8, too much depth or size, and any
 * byte after the item.
 *
 * cbor-x makes the values, but it is lenient: duplicate keys, tags (cyclic structures among them), wrong UTF-8 and long
 * forms all pass. So `assertStrict` walks over the bytes first, and cbor-x only ever sees what the walk let through.
 */
import { Decoder } from "cbor-x/decode";
import { Encoder } from "cbor-x/encode";
import { copyBytes } from "./bytes.js";
import { ServiceError } from "./errors.js";

/** Integers beyond ±(2^53 - 1) are bigint, all others number. */
export type CborValue<Bytes extends Uint8Array = Uint8Array> =
  | null
  | boolean
  | number
  | bigint
  | string
  | Bytes
  | readonly CborValue<Bytes>[]
  | CborMap<Bytes>;
export type CborMap<Bytes extends Uint8Array = Uint8Array> = ReadonlyMap<string | number | bigint, CborValue<Bytes>>;
/** What `decodeCbor` makes: its byte strings are copies with memory of their own. */
export type DecodedCbor = CborValue<Uint8Array<ArrayBuffer>>;

/** Whether a decoded value is a byte string. (`instanceof` alone loses that its memory is its own.) */
export const isCborBytes = (value: unknown): value is Uint8Array<ArrayBuffer> => value instanceof Uint8Array;

export interface CborLimits {
  /** Longest input, in bytes. */
  readonly maxBytes: number;
  /** How many arrays and maps may lie within one another; 8 if left out. */
  readonly maxDepth?: number;
  /** The one tag that may stand before the item; none if left out. */
  readonly tag?: number;
  /** Whether maps may have indefinite length; they may not if left out. */
  readonly indefiniteMaps?: boolean;
}

const DEFAULT_MAX_DEPTH = 8;

/** cbor-x without its own extensions: no record tags, Map for maps, no tag 64 on bytes, shortest map headers. */
const CBOR_X_OPTIONS = {
  useRecords: false,
  mapsAsObjects: false,
  tagUint8Array: false,
  variableMapSize: true,
} as const;

const malformed = (message: string): ServiceError => new ServiceError("ERR_CBOR_MALFORMED", message);

/**
 * Decodes one CBOR item of the strict subset. Byte strings in the result are copies.
 * @throws ServiceError ERR_CBOR_MALFORMED for everything outside it. Takes time linear in the length of the input.
 */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits): DecodedCbor {
  if (bytes.length > limits.maxBytes) throw malformed(`expected at most ${limits.maxBytes} bytes, got ${bytes.length}`);
  const item = bytes.subarray(assertStrict(bytes, limits));
  return ownedValue(new Decoder({ ...CBOR_X_OPTIONS }).decode(item));
}

/** Holds `bytes` to the subset; returns where the item begins, after the allowed tag if there is one. */
function assertStrict(
  bytes: Uint8Array,
  { tag, maxDepth = DEFAULT_MAX_DEPTH, indefiniteMaps = false }: CborLimits,
): number {
  const walk = new StrictWalk(bytes, indefiniteMaps);
  const start = tag === undefined ? 0 : walk.skipTag(tag);
  walk.item(maxDepth);
  if (walk.offset !== bytes.length) throw malformed(`${bytes.length - walk.offset} bytes after the item`);
  return start;
}

/** Major types (RFC 8949 §3.1), in the top three bits of an initial byte. */
const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;
const INDEFINITE = 31;
const BREAK = 0xff;
const INDEFINITE_MAP = (MAJOR.map << 5) | INDEFINITE;

/** A cursor that moves over well-formed items of the subset and throws at everything else. */
class StrictWalk {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #indefiniteMaps: boolean;
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  offset = 0;

  constructor(bytes: Uint8Array, indefiniteMaps: boolean) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#indefiniteMaps = indefiniteMaps;
  }

  /** Moves past `tag` if the next initial byte is a tag; returns where the tagged item begins. */
  skipTag(tag: number): number {
    const initial = this.#bytes[0];
    if (initial === undefined || initial >> 5 !== MAJOR.tag) return 0;
    this.offset = 1;
    if (this.#argument(initial & 31) !== tag) throw malformed(`tag is not ${tag}`);
    return this.offset;
  }

  /** One item, in which up to `depth` arrays and maps may nest. */
  item(depth: number): void {
    const initial = this.#octet();
    const additional = initial & 31;
    switch (initial >> 5) {
      case MAJOR.unsigned:
      case MAJOR.negative:
        this.#argument(additional);
        return;
      case MAJOR.bytes:
        this.#skip(this.#length(additional));
        return;
      case MAJOR.text:
        this.#text(additional);
        return;
      case MAJOR.array:
        this.#array(additional, depth);
        return;
      case MAJOR.map:
        this.#map(initial, depth);
        return;
      case MAJOR.tag:
        throw malformed("tag where none is allowed");
      default:
        // false, true and null: no undefined, other simple values, floats or stray break
        if (additional < 20 || additional > 22) throw malformed("float, undefined, simple value or stray break");
    }
  }

  #array(additional: number, depth: number): void {
    if (depth === 0) throw malformed("nested too deeply");
    const count = this.#length(additional);
    for (let i = 0; i < count; i++) this.item(depth - 1);
  }

  #map(initial: number, depth: number): void {
    if (depth === 0) throw malformed("nested too deeply");
    const keys = new Set<string>();
    if (initial === INDEFINITE_MAP && this.#indefiniteMaps) {
      while (this.#bytes[this.offset] !== BREAK) this.#entry(keys, depth);
      this.offset += 1;
      return;
    }
    const count = this.#length(initial & 31);
    for (let i = 0; i < count; i++) this.#entry(keys, depth);
  }

  #entry(keys: Set<string>, depth: number): void {
    const key = this.#key();
    if (keys.has(key)) throw malformed("duplicate map key");
    keys.add(key);
    this.item(depth - 1);
  }

  /** A key, as text that is equal for equal keys only: lengths are minimal, so each integer has one encoding. */
  #key(): string {
    const initial = this.#octet();
    const additional = initial & 31;
    switch (initial >> 5) {
      case MAJOR.unsigned:
        return `+${this.#argument(additional)}`;
      case MAJOR.negative:
        return `-${this.#argument(additional)}`;
      case MAJOR.text:
        return `"${this.#text(additional)}`;
      default:
        throw malformed("map key is neither text nor an integer");
    }
  }

  #text(additional: number): string {
    const length = this.#length(additional);
    const content = this.#bytes.subarray(this.offset, this.offset + length);
    this.#skip(length);
    // cbor-x drops a byte order mark, so two different keys could become one
    if (content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf)
      throw malformed("text starts with a byte order mark");
    try {
      return this.#utf8.decode(content);
    } catch (cause) {
      throw new ServiceError("ERR_CBOR_MALFORMED", "text is not UTF-8", { cause });
    }
  }

  #octet(): number {
    const octet = this.#bytes[this.offset];
    if (octet === undefined) throw malformed("input ends inside an item");
    this.offset += 1;
    return octet;
  }

  #skip(length: number): void {
    if (length > this.#bytes.length - this.offset) throw malformed("string reaches beyond the input");
    this.offset += length;
  }

  /** The argument as a length or count, which no input here can need more than 32 bits for. */
  #length(additional: number): number {
    const argument = this.#argument(additional);
    if (typeof argument === "bigint") throw malformed("length of more than 32 bits");
    return argument;
  }

  /** The argument of an initial byte (RFC 8949 §3), in its shortest form; bigint when it needs 64 bits. */
  #argument(additional: number): number | bigint {
    if (additional < 24) return additional;
    const size = argumentSize(additional);
    if (size > this.#bytes.length - this.offset) throw malformed("input ends inside a length or integer");
    const argument = readArgument(this.#view, this.offset, size);
    this.offset += size;
    if (argument < SMALLEST[size]) throw malformed("length or integer is not in its shortest form");
    return argument;
  }
}

/** The least argument that needs 1, 2, 4 or 8 bytes. */
const SMALLEST = { 1: 24, 2: 0x100, 4: 0x1_0000, 8: 0x1_0000_0000n } as const;
type ArgumentSize = keyof typeof SMALLEST;

function argumentSize(additional: number): ArgumentSize {
  switch (additional) {
    case 24:
      return 1;
    case 25:
      return 2;
    case 26:
      return 4;
    case 27:
      return 8;
    default:
      throw malformed("indefinite or reserved length");
  }
}

function readArgument(view: DataView, offset: number, size: ArgumentSize): number | bigint {
  switch (size) {
    case 1:
      return view.getUint8(offset);
    case 2:
      return view.getUint16(offset);
    case 4:
      return view.getUint32(offset);
    case 8:
      return view.getBigUint64(offset);
  }
}

/** cbor-x's value as ours: byte strings copied out of the input, 64-bit integers as number where they fit. */
function ownedValue(value: unknown): DecodedCbor {
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
      return value;
    case "bigint":
      return narrowInteger(value);
    case "object":
      return ownedObject(value);
    default:
      throw malformed("unreachable: the walk lets no such value through");
  }
}

function ownedObject(value: object | null): DecodedCbor {
  if (value === null) return value;
  if (value instanceof Uint8Array) return copyBytes(value);
  if (Array.isArray(value)) return value.map(ownedValue);
  if (!(value instanceof Map)) throw malformed("unreachable: the walk lets no such value through");
  const owned = new Map<string | number | bigint, DecodedCbor>();
  for (const [key, entry] of value) owned.set(typeof key === "bigint" ? narrowInteger(key) : key, ownedValue(entry));
  return owned;
}

function narrowInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * Encodes `value` in the form of serde_cbor: definite and shortest lengths, maps in their own order.
 * @throws TypeError for what the subset cannot say: fractions, integers of more than 64 bits, text with lone surrogates.
 */
export function encodeCbor(value: CborValue): Uint8Array<ArrayBuffer> {
  // a copy, because cbor-x hands out views of one buffer that it goes on using
  return copyBytes(new Encoder({ ...CBOR_X_OPTIONS }).encode(encodable(value)));
}

/** `value` such that cbor-x writes it in serde_cbor's form. */
function encodable(value: CborValue): unknown {
  switch (typeof value) {
    case "boolean":
      return value;
    case "string":
      if (/\p{Surrogate}/u.test(value)) throw new TypeError("CBOR text cannot hold a lone surrogate");
      return value;
    case "number":
    case "bigint":
      return encodableInteger(value);
    case "object":
      return encodableObject(value);
    default:
      throw new TypeError(`CBOR of the strict subset cannot hold a value of type ${typeof value}`);
  }
}

function encodableObject(value: CborValue & (object | null)): unknown {
  if (value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(encodable);
  if (!(value instanceof Map)) throw new TypeError("CBOR maps are encoded from Map");
  const entries = new Map<unknown, unknown>();
  for (const [key, entry] of value as CborMap) {
    if (typeof key === "object" || typeof key === "boolean") throw new TypeError("CBOR map keys are text or integers");
    entries.set(encodable(key), encodable(entry));
  }
  return entries;
}

/** cbor-x writes numbers of more than 32 bits as floats, and small bigints in eight bytes. */
function encodableInteger(value: number | bigint): number | bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw new TypeError("CBOR integers as number are safe integers");
  const integer = BigInt(value);
  if (integer >= 2n ** 64n || integer <= -(2n ** 64n)) throw new TypeError("CBOR integers have at most 64 bits");
  const fits = integer <= 0xffff_ffffn && integer >= -0x1_0000_0000n;
  return fits ? Number(integer) : integer;
}
