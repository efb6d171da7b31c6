/**
 * The little DER (X.690) that @peculiar/x509 cannot say: taking a finished certificate apart at its top level and putting
 * it together again, so that a test can change any field and have the result signed anew.
 *
 * It reads only what this simulator wrote: it checks no more than that lengths stay inside. The strict reader is shared/der.ts.
 */
import { concatBytes } from "../../shared/bytes.js";

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;

/** One value: identifier octet, minimal definite length, content. */
export function encodeTlv(tag: number, ...content: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
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
export const encodeSequence = (...values: readonly Uint8Array[]): Uint8Array<ArrayBuffer> =>
  encodeTlv(SEQUENCE, ...values);

/** A BIT STRING of whole octets, as signatures are. */
export const encodeBitString = (octets: Uint8Array): Uint8Array<ArrayBuffer> =>
  encodeTlv(BIT_STRING, Uint8Array.of(0), octets);

/** The encoded values inside one constructed value, in order. */
export function splitConstructed(der: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const { contentStart, end } = elementAt(der, 0);
  const values: Uint8Array<ArrayBuffer>[] = [];
  for (let offset = contentStart; offset < end; ) {
    const element = elementAt(der, offset);
    values.push(new Uint8Array(der.subarray(offset, element.end)));
    offset = element.end;
  }
  return values;
}

function elementAt(der: Uint8Array, offset: number): { contentStart: number; end: number } {
  const first = der[offset + 1] ?? 0;
  const octets = first < 0x80 ? 0 : first & 0x7f;
  const contentStart = offset + 2 + octets;
  const long = der.subarray(offset + 2, contentStart).reduce((length, octet) => length * 256 + octet, 0);
  const end = contentStart + (octets === 0 ? first : long);
  if (end > der.length) throw new TypeError("splitConstructed takes DER that this simulator wrote");
  return { contentStart, end };
}
