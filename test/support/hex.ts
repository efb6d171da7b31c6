/** Bytes as tests write them: hexadecimal, as an RFC prints it. */
import { fromHex } from "../../shared/bytes.js";

/** The bytes of `text`, whose spaces and line ends do not count. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = fromHex(text.replace(/\s/g, ""));
  if (!bytes) throw new TypeError("the test expects hexadecimal");
  return bytes;
}

/** `bytes` with one bit turned over. */
export function withFlippedBit(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes, (byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
}
