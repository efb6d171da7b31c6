import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../shared/bytes.js";
import type { CborLimits, CborValue } from "../../shared/cbor.js";
import { decodeCbor, encodeCbor } from "../../shared/cbor.js";

function hex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = fromHex(text.replace(/\s/g, ""));
  if (bytes === undefined) throw new TypeError(`not hexadecimal: ${text}`);
  return bytes;
}

const decode = (text: string, limits: Partial<CborLimits> = {}) => decodeCbor(hex(text), { maxBytes: 4096, ...limits });
const encode = (value: CborValue): string => toHex(encodeCbor(value));

/** Value and encoding, both ways: RFC 8949 appendix A and the borders between lengths. */
const ITEMS: readonly (readonly [CborValue, string])[] = [
  [0, "00"],
  [23, "17"],
  [24, "1818"],
  [255, "18ff"],
  [256, "190100"],
  [65535, "19ffff"],
  [65536, "1a00010000"],
  [4294967295, "1affffffff"],
  [4294967296, "1b0000000100000000"],
  [1766678659346, "1b0000019b56410112"],
  [Number.MAX_SAFE_INTEGER, "1b001fffffffffffff"],
  [2n ** 53n, "1b0020000000000000"],
  [2n ** 64n - 1n, "1bffffffffffffffff"],
  [-1, "20"],
  [-24, "37"],
  [-25, "3818"],
  [-35, "3822"],
  [-256, "38ff"],
  [-257, "390100"],
  [-65536, "39ffff"],
  [-65537, "3a00010000"],
  [-4294967296, "3affffffff"],
  [-4294967297, "3b0000000100000000"],
  [Number.MIN_SAFE_INTEGER, "3b001ffffffffffffe"],
  [-(2n ** 53n), "3b001fffffffffffff"],
  [-(2n ** 64n) + 1n, "3bfffffffffffffffe"],
  [false, "f4"],
  [true, "f5"],
  [null, "f6"],
  ["", "60"],
  ["IETF", "6449455446"],
  ["ü水\u{10151}", "69c3bce6b0b4f0908591"],
  ["a".repeat(24), `7818${"61".repeat(24)}`],
  ["ü".repeat(40), `7850${"c3bc".repeat(40)}`],
  [Uint8Array.of(), "40"],
  [Uint8Array.of(1, 2, 3, 4), "4401020304"],
  [new Uint8Array(300), `59012c${"00".repeat(300)}`],
  [[], "80"],
  [[1, [2, 3]], "8201820203"],
  [new Map(), "a0"],
  [
    new Map<string | number, CborValue>([
      ["b", 1],
      ["a", 2],
      [1, null],
      ["1", true],
      [-1, []],
    ]),
    "a5 6162 01 6161 02 01 f6 6131 f5 20 80",
  ],
  [new Map([["__proto__", 1]]), "a1 69 5f5f70726f746f5f5f 01"],
];

describe("decodeCbor", () => {
  it.each(ITEMS)("reads %o from %s", (value, encoded) => {
    expect(decode(encoded)).toEqual(value);
  });

  it("copies byte strings, so that neither the input nor another value is behind them", () => {
    const input = hex("824201024103");
    const value = decodeCbor(input, { maxBytes: 100 });
    input.fill(0xff);
    expect(value).toEqual([Uint8Array.of(1, 2), Uint8Array.of(3)]);
    if (!Array.isArray(value) || !(value[0] instanceof Uint8Array)) throw new TypeError("expected two byte strings");
    expect(value[0].buffer.byteLength).toBe(2);
  });

  it("leaves the input as it was, and does not believe what a caller attached to it", () => {
    const input = Object.assign(hex("1a00010000"), { dataView: new DataView(new ArrayBuffer(16)) });
    expect(decodeCbor(input, { maxBytes: 100 })).toBe(65536);
    const plain = hex("1a00010000");
    decodeCbor(plain, { maxBytes: 100 });
    expect(Object.hasOwn(plain, "dataView")).toBe(false);
  });

  it("reads an item that lies in the middle of a larger buffer", () => {
    expect(decodeCbor(hex("ffff 1a00010000 ffff").subarray(2, 7), { maxBytes: 100 })).toBe(65536);
  });

  it.each([
    ["an empty input", ""],
    ["a byte after the item", "0000"],
    ["a second item", "a0a0"],
    ["an integer that ends early", "19ff"],
    ["a byte string that ends early", "43ffff"],
    ["an array that ends early", "8200"],
    ["a map without its last value", "a101"],
    ["a byte string that claims 4 GiB", "5affffffff00"],
    ["a byte string that claims 2^64 - 1 bytes", "5bffffffffffffffff00"],
    ["an array that claims 2^32 - 1 items", "9affffffff00"],
    ["a map that claims 2^64 - 1 entries", "bbffffffffffffffff0000"],
    ["0 in two bytes", "1800"],
    ["23 in two bytes", "1817"],
    ["255 in three bytes", "1900ff"],
    ["65535 in five bytes", "1a0000ffff"],
    ["2^32 - 1 in nine bytes", "1b00000000ffffffff"],
    ["-1 in two bytes", "3800"],
    ["a text length in two bytes", "780161"],
    ["a byte string length in three bytes", "59000100"],
    ["an array length in two bytes", "980100"],
    ["a map length in two bytes", "b8010000"],
    ["additional information 28", "1c"],
    ["additional information 30 on a string", "5e"],
    ["an indefinite byte string", "5f4100ff"],
    ["an indefinite text", "7f6161ff"],
    ["an indefinite array", "9f00ff"],
    ["an indefinite map", "bf0000ff"],
    ["a lone break", "ff"],
    ["a float of 16 bits", "f93c00"],
    ["a float of 32 bits", "fa3f800000"],
    ["a float of 64 bits", "fb3ff0000000000000"],
    ["NaN", "f97e00"],
    ["undefined", "f7"],
    ["simple value 16", "f0"],
    ["simple value 32", "f820"],
    ["a date tag", "c000"],
    ["a bignum tag", "c24101"],
    ["tag 28, which makes cyclic structures in cbor-x", "d81c81d81d00"],
    ["tag 64 on bytes", "d84041ff"],
    ["the record tag of cbor-x", "d9dfff8319e000816161 01"],
    ["self-described CBOR", "d9d9f700"],
    ["text that is not UTF-8", "61ff"],
    ["text with an overlong form", "62c080"],
    ["text with an encoded surrogate", "63eda080"],
    ["text that ends inside a character", "61c3"],
    ["text with a byte order mark, which cbor-x would drop from long texts", "63efbbbf"],
    ["a key that is bytes", "a1410000"],
    ["a key that is an array", "a18000"],
    ["a key that is null", "a1f600"],
    ["a key that is a tagged text", "a1c0616100"],
    ["the same text twice", "a2616101616102"],
    ["the same integer twice", "a201010102"],
    ["the same negative integer twice", "a220012002"],
    ["the same 64-bit integer twice", "a21b0000000100000000011b000000010000000002"],
    ["a duplicate inside a nested map", "8182a0a201010102"],
  ])("refuses %s", (_, encoded) => {
    expect(() => decode(encoded)).toThrowCode("ERR_CBOR_MALFORMED");
  });

  it("takes an integer and the text of the same digits for different keys", () => {
    expect(decode("a2 01 01 6131 02")).toEqual(
      new Map<string | number, number>([
        [1, 1],
        ["1", 2],
      ]),
    );
    expect(decode("a2 20 01 622d31 02")).toEqual(
      new Map<string | number, number>([
        [-1, 1],
        ["-1", 2],
      ]),
    );
  });

  it("takes input of exactly maxBytes and refuses one byte more", () => {
    expect(decode("43010203", { maxBytes: 4 })).toEqual(Uint8Array.of(1, 2, 3));
    expect(() => decode("43010203", { maxBytes: 3 })).toThrowCode("ERR_CBOR_MALFORMED");
  });

  it("takes nesting of exactly maxDepth, 8 by default, and refuses one level more", () => {
    const nested = (depth: number) => `${"81".repeat(depth)}00`;
    expect(decode(nested(8))).toBeDefined();
    expect(() => decode(nested(9))).toThrowCode("ERR_CBOR_MALFORMED");
    expect(decode(nested(1), { maxDepth: 1 })).toEqual([0]);
    expect(() => decode("a100a0", { maxDepth: 1 })).toThrowCode("ERR_CBOR_MALFORMED");
    expect(() => decode("80", { maxDepth: 0 })).toThrowCode("ERR_CBOR_MALFORMED");
    expect(() => decode(nested(4000), { maxDepth: 8 })).toThrowCode("ERR_CBOR_MALFORMED");
  });
});

describe("decodeCbor with a tag", () => {
  it("takes the item with the tag and without it", () => {
    expect(decode("d280", { tag: 18 })).toEqual([]);
    expect(decode("80", { tag: 18 })).toEqual([]);
    expect(decode("d83d80", { tag: 61 })).toEqual([]);
  });

  it.each([
    ["another tag", "d180"],
    ["the tag twice", "d2d280"],
    ["the tag in a longer form", "d81280"],
    ["the tag inside", "81d280"],
    ["the tag alone", "d2"],
  ])("refuses %s", (_, encoded) => {
    expect(() => decode(encoded, { tag: 18 })).toThrowCode("ERR_CBOR_MALFORMED");
  });
});

describe("decodeCbor with indefiniteMaps", () => {
  const indefiniteMaps = true;

  it("takes maps of indefinite and definite length", () => {
    expect(decode("bf ff", { indefiniteMaps })).toEqual(new Map());
    expect(decode("bf 6161 01 01 bf ff ff", { indefiniteMaps })).toEqual(
      new Map<string | number, unknown>([
        ["a", 1],
        [1, new Map()],
      ]),
    );
    expect(decode("a1 6161 01", { indefiniteMaps })).toEqual(new Map([["a", 1]]));
  });

  it.each([
    ["one without a break", "bf616101"],
    ["a break in the place of a value", "bf6161ff"],
    ["a second break", "bfffff"],
    ["a duplicate key", "bf616101616102ff"],
    ["an indefinite array", "9fff"],
    ["an indefinite array inside", "bf61619fffff"],
    ["an indefinite text", "bf7f6161ff01ff"],
    ["an indefinite byte string", "bf61615f4100ffff"],
    ["nesting that is too deep", `${"bf00".repeat(9)}00${"ff".repeat(9)}`],
  ])("refuses %s", (_, encoded) => {
    expect(() => decode(encoded, { indefiniteMaps })).toThrowCode("ERR_CBOR_MALFORMED");
  });
});

describe("encodeCbor", () => {
  it.each(ITEMS)("writes %o as %s", (value, encoded) => {
    expect(encode(value)).toBe(encoded.replace(/\s/g, ""));
  });

  it("writes a bigint as the number that it is", () => {
    expect(encode(5n)).toBe("05");
    expect(encode(-(2n ** 32n))).toBe("3affffffff");
  });

  it("writes a Node Buffer as bytes, without a tag", () => {
    expect(encode(Buffer.from([1, 2]))).toBe("420102");
  });

  it("returns memory that nobody else writes to", () => {
    const first = encodeCbor("first");
    encodeCbor("other");
    expect(toHex(first)).toBe("656669727374");
    expect(first.buffer.byteLength).toBe(first.length);
  });

  it.each([
    ["a fraction", 1.5],
    ["NaN", Number.NaN],
    ["an integer that lost precision", 2 ** 53],
    ["an integer of 65 bits", 2n ** 64n],
    ["a negative integer of 65 bits", -(2n ** 64n)],
    ["a lone surrogate", "\ud800"],
  ])("throws a TypeError for %s", (_, value) => {
    expect(() => encodeCbor(value)).toThrow(TypeError);
  });

  it.each([
    ["undefined", undefined],
    ["a plain object", { a: 1 }],
    ["a date", new Date(0)],
    ["a set", new Set([1])],
    ["a symbol", Symbol("a")],
    ["a map keyed by bytes", new Map([[Uint8Array.of(1), 1]])],
    ["a map keyed by a boolean", new Map([[true, 1]])],
  ])("throws a TypeError for %s, which the type does not allow either", (_, value) => {
    expect(() => encodeCbor(value as never)).toThrow(TypeError);
  });
});
