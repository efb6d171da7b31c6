/**
 * The encryption context as additional authenticated data. Every name and value is preceded by its length, and the pairs
 * are sorted, so that two contexts have the same bytes only if they are the same: joining the texts, as several
 * emulators do, lets {tenant: "1admin"} open what was sealed under {tenant1: "admin"}.
 */
import { concatBytes, utf8 } from "../../shared/bytes.js";

/** Names and values. A map, because an object has names of its own: `__proto__` is an encryption context like any other. */
export type EncryptionContext = ReadonlyMap<string, string>;

/** The injective encoding: the number of pairs, then each name and value with a four-byte length before it. */
export function encodeEncryptionContext(context: EncryptionContext): Uint8Array {
  const pairs = [...context]
    .map(([name, value]) => [utf8(name), utf8(value)] as const)
    .sort(([a], [b]) => Buffer.compare(a, b));
  return concatBytes(
    uint32(pairs.length),
    ...pairs.flatMap(([name, value]) => [uint32(name.length), name, uint32(value.length), value]),
  );
}

/** A number as four big-endian bytes. */
export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
