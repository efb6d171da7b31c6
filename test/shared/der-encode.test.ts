/** The DER writer: each type in the one form that the strict reader takes, octet by octet. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../shared/bytes.js";
import { readDer } from "../../shared/der.js";
import {
  encodeBitString,
  encodeNamedBits,
  encodeObjectIdentifier,
  encodeOctetString,
  encodeSequence,
  encodeSetOfOne,
  encodeTime,
  encodeTlv,
  encodeTrue,
  encodeUnsignedInteger,
  encodeUtf8String,
} from "../../shared/der-encode.js";

const MAX_BYTES = 70_000;

describe("each type has its octets", () => {
  it.each<[string, Uint8Array, string]>([
    ["an empty SEQUENCE", encodeSequence(), "3000"],
    ["a SEQUENCE of two", encodeSequence(encodeTrue(), encodeTrue()), "30060101ff0101ff"],
    ["a SET of one", encodeSetOfOne(encodeTrue()), "31030101ff"],
    ["a BIT STRING", encodeBitString(Uint8Array.of(0x80)), "03020080"],
    ["an OCTET STRING", encodeOctetString(Uint8Array.of(1, 2)), "04020102"],
    ["a UTF8String", encodeUtf8String("é"), "0c02c3a9"],
    ["a context tag", encodeTlv(0x82, utf8("a")), "820161"],
    ["zero", encodeUnsignedInteger(Uint8Array.of(0)), "020100"],
    ["an INTEGER without octets", encodeUnsignedInteger(new Uint8Array()), "020100"],
    ["an INTEGER with leading zeros", encodeUnsignedInteger(Uint8Array.of(0, 0, 127)), "02017f"],
    ["an INTEGER whose top bit is set", encodeUnsignedInteger(Uint8Array.of(128)), "02020080"],
    ["no named bit", encodeNamedBits(), "030100"],
    ["named bit 0", encodeNamedBits(0), "03020780"],
    ["named bits 5 and 6", encodeNamedBits(5, 6), "03020106"],
    ["named bit 7", encodeNamedBits(7), "03020001"],
    ["an OBJECT IDENTIFIER below 1", encodeObjectIdentifier("1.2.840.113549"), "06062a864886f70d"],
    ["an OBJECT IDENTIFIER below 2", encodeObjectIdentifier("2.999.3"), "0603883703"],
    ["the last second of UTCTime", encodeTime(new Date("2049-12-31T23:59:59Z")), "170d3439313233313233353935395a"],
    [
      "the first of GeneralizedTime",
      encodeTime(new Date("2050-01-01T00:00:00Z")),
      "180f32303530303130313030303030305a",
    ],
    [
      "a UTCTime of the last century",
      encodeTime(new Date("1950-01-01T00:00:00.999Z")),
      "170d3530303130313030303030305a",
    ],
  ])("%s", (_, encoded, octets) => {
    expect(toHex(encoded)).toBe(octets);
  });

  it.each([
    [0x7f, "047f"],
    [0x80, "048180"],
    [0xff, "0481ff"],
    [0x100, "04820100"],
    [0x1_0000, "0483010000"],
  ])("a length of %d is minimal", (length, head) => {
    expect(toHex(encodeOctetString(new Uint8Array(length)).subarray(0, head.length / 2))).toBe(head);
  });
});

describe("the strict reader takes what is written", () => {
  it("unsigned integers", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 160n }), (value) => {
        const hex = value.toString(16);
        const magnitude = Uint8Array.from(Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex"));
        const read = readDer(encodeUnsignedInteger(magnitude), MAX_BYTES, (reader) => reader.unsignedInteger());
        expect(BigInt(`0x${toHex(read)}`)).toBe(value);
      }),
    );
  });

  it("object identifiers", () => {
    const arcs = fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { maxLength: 10 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 39 }), arcs, (first, second, rest) => {
        const dotted = [first, second, ...rest].join(".");
        expect(readDer(encodeObjectIdentifier(dotted), MAX_BYTES, (reader) => reader.objectIdentifier())).toBe(dotted);
      }),
    );
  });

  it("times, to the second", () => {
    const times = fc.date({ min: new Date("1950-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(times, (time) => {
        const read = readDer(encodeTime(time), MAX_BYTES, (reader) => reader.time());
        expect(read.getTime()).toBe(Math.floor(time.getTime() / 1_000) * 1_000);
      }),
    );
  });

  it("named bits", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 7 })), (bits) => {
        const read = readDer(encodeNamedBits(...bits), MAX_BYTES, (reader) => reader.namedBits());
        expect([0, 1, 2, 3, 4, 5, 6, 7, 8].filter(read)).toEqual([...bits].sort());
      }),
    );
  });
});

describe("what has no encoding is a mistake of the program", () => {
  it.each<[string, () => unknown]>([
    ["an object identifier of one arc", () => encodeObjectIdentifier("1")],
    ["an arc with a leading zero", () => encodeObjectIdentifier("1.2.03")],
    ["a first arc over 2", () => encodeObjectIdentifier("3.1")],
    ["a second arc over 39 below 1", () => encodeObjectIdentifier("1.40")],
    ["an arc beyond exact numbers", () => encodeObjectIdentifier("1.2.9999999999999999")],
    ["a time before 1950", () => encodeTime(new Date("1949-12-31T23:59:59Z"))],
    ["a time after 9999", () => encodeTime(new Date("+010000-01-01T00:00:00Z"))],
    ["no time at all", () => encodeTime(new Date(Number.NaN))],
    ["named bit 8", () => encodeNamedBits(8)],
    ["named bit -1", () => encodeNamedBits(-1)],
    ["named bit 1.5", () => encodeNamedBits(1.5)],
  ])("%s", (_, encode) => {
    expect(encode).toThrow(TypeError);
  });
});
