/** The integers that byte-reader.ts reads, in their shortest form. */

/** `value` in `length` bytes, at most 4, in network byte order. @throws TypeError when it does not fit. */
export function encodeUint(value: number, length: number): Uint8Array<ArrayBuffer> {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 0x100 ** length) {
    throw new TypeError(`expected an unsigned integer of ${length} bytes`);
  }
  return Uint8Array.from({ length }, (_, i) => Math.floor(value / 0x100 ** (length - 1 - i)) % 0x100);
}

/** A variable-length integer (RFC 9000 §16). @throws TypeError unless it is an integer of 0 to 2^53-1. */
export function encodeVarint(value: number): Uint8Array<ArrayBuffer> {
  const exponent = value < 0x40 ? 0 : value < 0x4000 ? 1 : value < 0x4000_0000 ? 2 : 3;
  const bytes = encodeUint(value, 1 << exponent);
  bytes[0] = (bytes[0] ?? 0) | (exponent << 6);
  return bytes;
}
