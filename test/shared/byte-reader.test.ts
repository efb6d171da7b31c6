/** The cursor and the integers of Binary HTTP and Oblivious HTTP. */
import { describe, expect, it } from "vitest";
import { ByteReader } from "../../shared/byte-reader.js";
import { encodeUint, encodeVarint } from "../../shared/byte-writer.js";
import { toHex } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { hex } from "../support/hex.js";

const malformed = (message: string) => new ServiceError("ERR_OHTTP_MALFORMED", message);
const reader = (text: string) => new ByteReader(hex(text), malformed);

/** RFC 9000 appendix A.1. */
const EXAMPLES: readonly (readonly [string, number])[] = [
  ["9d7f3e7d", 494_878_333],
  ["7bbd", 15_293],
  ["25", 37],
];

describe("variable-length integers", () => {
  it.each(EXAMPLES)("reads and writes RFC 9000's example %s", (text, value) => {
    expect(reader(text).varint()).toBe(value);
    expect(toHex(encodeVarint(value))).toBe(text);
  });

  it("reads a longer form than necessary (RFC 9000's 4025), and an 8-byte one", () => {
    expect(reader("4025").varint()).toBe(37);
    expect(reader("c000000000000025").varint()).toBe(37);
  });

  it("reads RFC 9000's 8-byte example to the precision of a number, and the largest integer without overflow", () => {
    expect(reader("c2197c5eff14e88c").varint()).toBe(Number(151_288_809_941_952_652n));
    expect(reader("ffffffffffffffff").varint()).toBe(2 ** 62);
    expect(reader("e000000000000000").varint()).toBe(2 ** 61);
  });

  it.each([
    [0, "00"],
    [63, "3f"],
    [64, "4040"],
    [16_383, "7fff"],
    [16_384, "80004000"],
    [2 ** 30 - 1, "bfffffff"],
    [2 ** 30, "c000000040000000"],
    [2 ** 32 + 1, "c000000100000001"],
    [Number.MAX_SAFE_INTEGER, "c01fffffffffffff"],
  ])("writes %d in its shortest form and reads it back", (value, text) => {
    expect(toHex(encodeVarint(value))).toBe(text);
    expect(reader(text).varint()).toBe(value);
  });

  it.each(["", "40", "9d7f3e", "c2197c5eff14e8"])("refuses one that is cut: %s", (text) => {
    expect(() => reader(text).varint()).toThrowCode("ERR_OHTTP_MALFORMED");
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])("writes no %d", (value) => {
    expect(() => encodeVarint(value)).toThrow(TypeError);
  });
});

describe("ByteReader", () => {
  it("reads fields one after the other, up to the end and not beyond", () => {
    const fields = reader("01 0203 040506 07");
    expect([fields.uint(1), fields.uint(2), toHex(fields.take(3)), fields.remaining]).toEqual([1, 0x203, "040506", 1]);
    expect(() => fields.take(2)).toThrowCode("ERR_OHTTP_MALFORMED");
    expect(toHex(fields.rest())).toBe("07");
    expect(fields.atEnd).toBe(true);
  });

  it("keeps a reader of a part within that part", () => {
    const whole = reader("0102 0304");
    const part = whole.within(2);
    expect(part.uint(2)).toBe(0x102);
    expect(part.atEnd).toBe(true);
    expect(() => part.uint(1)).toThrowCode("ERR_OHTTP_MALFORMED");
    expect(whole.uint(2)).toBe(0x304);
  });
});

describe("encodeUint", () => {
  it("writes network byte order", () => {
    expect(toHex(encodeUint(0x0102, 2))).toBe("0102");
    expect(toHex(encodeUint(0xffff_ffff, 4))).toBe("ffffffff");
    expect(toHex(encodeUint(0, 1))).toBe("00");
  });

  it.each([0x10000, -1, 1.5])("writes no %d in two bytes", (value) => {
    expect(() => encodeUint(value, 2)).toThrow(TypeError);
  });
});
