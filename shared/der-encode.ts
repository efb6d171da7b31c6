/**
 * A small writer of DER (X.690 §8, §10, §11): the types that certificates need. A value is written whole, so nested values
 * are written from the inside out; what is written here, the strict reader of der.ts takes.
 *
 * The arguments are the program's own, never input: what cannot be encoded is a TypeError.
 */
import { concatBytes, utf8 } from "./bytes.js";
import { TAG } from "./der.js";

type Der = Uint8Array<ArrayBuffer>;

/** One value: identifier octet, minimal definite length, content. */
export function encodeTlv(tag: number, ...content: readonly Uint8Array[]): Der {
  const body = concatBytes(...content);
  return concatBytes(Uint8Array.of(tag, ...encodeLength(body.length)), body);
}

function encodeLength(length: number): readonly number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}

/** A SEQUENCE of values that are already encoded. */
export const encodeSequence = (...values: readonly Uint8Array[]): Der => encodeTlv(TAG.sequence, ...values);

/** A SET of one value: of several, their order would matter (X.690 §11.6). */
export const encodeSetOfOne = (value: Uint8Array): Der => encodeTlv(TAG.set, value);

/** A BIT STRING of whole octets, as keys and signatures are. */
export const encodeBitString = (octets: Uint8Array): Der => encodeTlv(TAG.bitString, Uint8Array.of(0), octets);

/** An OCTET STRING. */
export const encodeOctetString = (octets: Uint8Array): Der => encodeTlv(TAG.octetString, octets);

/** A UTF8String. */
export const encodeUtf8String = (text: string): Der => encodeTlv(TAG.utf8String, utf8(text));

/** BOOLEAN TRUE (X.690 §11.1). FALSE is every default that certificates have, and so never written (§11.5). */
export const encodeTrue = (): Der => encodeTlv(TAG.boolean, Uint8Array.of(0xff));

/** An INTEGER that is not negative, from its magnitude, big-endian; written minimally (X.690 §8.3.2). */
export function encodeUnsignedInteger(magnitude: Uint8Array): Der {
  const first = magnitude.findIndex((octet) => octet !== 0);
  const minimal = first < 0 ? Uint8Array.of(0) : magnitude.subarray(first);
  const sign = (minimal[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array();
  return encodeTlv(TAG.integer, sign, minimal);
}

/** A BIT STRING of named bits, the given ones set, without trailing zero bits (X.690 §11.2.2). At most bits 0 to 7. */
export function encodeNamedBits(...bits: readonly number[]): Der {
  if (bits.some((bit) => !Number.isInteger(bit) || bit < 0 || bit > 7)) throw new TypeError("expected bits 0 to 7");
  if (bits.length === 0) return encodeTlv(TAG.bitString, Uint8Array.of(0));
  const octet = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return encodeTlv(TAG.bitString, Uint8Array.of(7 - Math.max(...bits), octet));
}

/** An OBJECT IDENTIFIER from its dotted form (X.690 §8.19). */
export function encodeObjectIdentifier(dotted: string): Der {
  if (!/^[0-2](\.(0|[1-9]\d{0,14}))+$/.test(dotted)) throw new TypeError("expected a dotted object identifier");
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  if (first < 2 && second > 39) throw new TypeError("expected a second arc of at most 39 below the arcs 0 and 1");
  return encodeTlv(TAG.objectIdentifier, Uint8Array.from([40 * first + second, ...rest].flatMap(base128)));
}

/** A subidentifier: seven bits an octet, all but the last with the top bit set. */
function base128(value: number): number[] {
  const octets = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift(0x80 | (rest % 128));
  return octets;
}

/** `Time` of RFC 5280 §4.1.2.5, in whole seconds: UTCTime up to 2049, GeneralizedTime from 2050. Years 1950 to 9999. */
export function encodeTime(time: Date): Der {
  const year = time.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw new TypeError("expected a time of the years 1950 to 9999");
  const digits = time.toISOString().slice(0, 19).replace(/[-T:]/g, "");
  return year < 2050
    ? encodeTlv(TAG.utcTime, utf8(`${digits.slice(2)}Z`))
    : encodeTlv(TAG.generalizedTime, utf8(`${digits}Z`));
}
