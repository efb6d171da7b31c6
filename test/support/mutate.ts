/** Inputs for parsers: random bytes, and valid messages with a few changes of the kinds that break parsers. */
import fc from "fast-check";
import { concatBytes } from "../../shared/bytes.js";

/** Borders of CBOR and DER: lengths, tags, breaks, indefinite forms. */
const TELLING = [0x00, 0x01, 0x1b, 0x30, 0x5f, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x9f, 0xa0, 0xbf, 0xc2, 0xd2, 0xf7, 0xff];

type Change = (bytes: Uint8Array) => Uint8Array;

const at = (bytes: Uint8Array, position: number): number => Math.floor(position * bytes.length);
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const octet = fc.oneof(fc.constantFrom(...TELLING), fc.nat(255));

const replaceOctet: fc.Arbitrary<Change> = fc.tuple(position, octet).map(
  ([where, value]) =>
    (bytes) =>
      bytes.map((old, index) => (index === at(bytes, where) ? value : old)),
);
const insertOctets: fc.Arbitrary<Change> = fc
  .tuple(position, fc.array(octet, { minLength: 1, maxLength: 9 }))
  .map(([where, values]) => (bytes) => {
    const start = at(bytes, where);
    return concatBytes(bytes.subarray(0, start), Uint8Array.from(values), bytes.subarray(start));
  });
const removeOctets: fc.Arbitrary<Change> = fc
  .tuple(position, fc.integer({ min: 1, max: 40 }))
  .map(([where, count]) => (bytes) => {
    const start = at(bytes, where);
    return concatBytes(bytes.subarray(0, start), bytes.subarray(start + count));
  });
const repeatOctets: fc.Arbitrary<Change> = fc
  .tuple(position, fc.integer({ min: 1, max: 80 }))
  .map(([where, count]) => (bytes) => {
    const start = at(bytes, where);
    return concatBytes(bytes.subarray(0, start + count), bytes.subarray(start));
  });
const truncate: fc.Arbitrary<Change> = position.map((where) => (bytes) => bytes.subarray(0, at(bytes, where)));

const change = fc.oneof({ weight: 4, arbitrary: replaceOctet }, insertOctets, removeOctets, repeatOctets, truncate);

/** One of `samples` with one to four changes. */
export const mutated = (samples: readonly Uint8Array[]): fc.Arbitrary<Uint8Array<ArrayBuffer>> =>
  fc
    .tuple(fc.constantFrom(...samples), fc.array(change, { minLength: 1, maxLength: 4 }))
    .map(([sample, changes]) => new Uint8Array(changes.reduce((bytes, apply) => apply(bytes), sample)));

/** Random bytes, of telling values and of any. */
export const randomBytes: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc
  .array(octet, { maxLength: 64 })
  .map((octets) => Uint8Array.from(octets));
