/** The strict DER reader, type by type: one form of each value is read, every other is refused. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../shared/bytes.js";
import type { DerReader } from "../../shared/der.js";
import { contextConstructed, readDer, TAG } from "../../shared/der.js";
import { encodeTlv } from "../../shared/der-encode.js";
import { ServiceError } from "../../shared/errors.js";
import { mutated, randomBytes } from "../support/mutate.js";

function hex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = fromHex(text.replaceAll(" ", ""));
  if (bytes === undefined) throw new TypeError("not hexadecimal");
  return bytes;
}

const MAX_BYTES = 70_000;
const read = <T>(text: string, reader: (reader: DerReader) => T): T => readDer(hex(text), MAX_BYTES, reader);

/** Each of `values` is read as said, each of `refused` is ERR_DER_MALFORMED. */
function reads<T>(
  type: string,
  reader: (reader: DerReader) => T,
  values: readonly (readonly [encoding: string, value: T])[],
  refused: readonly (readonly [title: string, encoding: string])[],
) {
  describe(type, () => {
    it.each(values)("%s is read", (encoding, value) => {
      expect(read(encoding, reader)).toEqual(value);
    });
    it.each(refused)("pitfall 18: %s is refused", (_, encoding) => {
      expect(() => read(encoding, reader)).toThrowCode("ERR_DER_MALFORMED");
    });
  });
}

const octetsOf = (reader: DerReader): string => toHex(reader.octetString());

reads(
  "lengths",
  octetsOf,
  [
    ["0400", ""],
    ["0401ab", "ab"],
    [`047f${"ab".repeat(127)}`, "ab".repeat(127)],
    [`048180${"ab".repeat(128)}`, "ab".repeat(128)],
    [`0481ff${"ab".repeat(255)}`, "ab".repeat(255)],
    [`04820100${"ab".repeat(256)}`, "ab".repeat(256)],
    [`0482ffff${"ab".repeat(65535)}`, "ab".repeat(65535)],
  ],
  [
    ["nothing at all", ""],
    ["an identifier without length", "04"],
    ["a length that ends early", "0482"],
    ["a length of two octets that ends early", "048201"],
    ["a value that ends early", "0402ab"],
    ["a byte after the value", "0401ab00"],
    ["a second value", "0401ab0401ab"],
    ["a long form that the short one would do for", "04817f".concat("ab".repeat(127))],
    ["a long form of zero", "048100"],
    ["two octets of length where one would do", `048200ff${"ab".repeat(255)}`],
    ["three octets of length", `0483010000${"ab".repeat(65536)}`],
    ["the reserved length FF", "04ff"],
    ["the octet of an indefinite length taken for 128", `0480${"ab".repeat(128)}`],
    ["an indefinite length", "2480 0401ab 0000"],
    ["an indefinite length on a primitive value", "0480ab0000"],
    ["an identifier of two octets", "1f8101ab"],
    ["another type", "0c01ab"],
    ["the same type in constructed form", "24030401ab"],
  ],
);

reads(
  "INTEGER",
  (reader) => toHex(reader.unsignedInteger()),
  [
    ["020100", "00"],
    ["02017f", "7f"],
    ["02020080", "80"],
    ["02020100", "0100"],
    [`0211 00${"ff".repeat(16)}`, "ff".repeat(16)],
  ],
  [
    ["one without content", "0200"],
    ["a negative one", "020180"],
    ["a padded one", "0202007f"],
    ["a padded zero", "02020000"],
  ],
);

reads(
  "INTEGER as a small number",
  (reader) => reader.smallInteger(),
  [
    ["020100", 0],
    ["020102", 2],
    ["02020080", 128],
    ["02047fffffff", 0x7fff_ffff],
  ],
  [
    ["2^31", "02050080000000"],
    ["a number over all bounds", `0220 01${"00".repeat(31)}`],
    ["a negative one", "0201ff"],
  ],
);

reads(
  "BOOLEAN",
  (reader) => reader.boolean(),
  [
    ["0101ff", true],
    ["010100", false],
  ],
  [
    ["TRUE as 01", "010101"],
    ["one without content", "0100"],
    ["one of two octets", "0102ffff"],
  ],
);

reads(
  "BOOLEAN DEFAULT FALSE",
  (reader) => reader.sequence((components) => components.booleanDefaultFalse()),
  [
    ["3000", false],
    ["30030101ff", true],
  ],
  [["FALSE written out", "3003010100"]],
);

reads(
  "BIT STRING",
  (reader) => {
    const { octets, unusedBits } = reader.bitString();
    return [toHex(octets), unusedBits] as const;
  },
  [
    ["030100", ["", 0]],
    ["030200ff", ["ff", 0]],
    ["030207 80", ["80", 7]],
    ["030304 fff0", ["fff0", 4]],
  ],
  [
    ["one without its count of unused bits", "0300"],
    ["eight unused bits", "03020800"],
    ["unused bits of nothing", "030101"],
    ["unused bits that are not zero", "030201ff"],
  ],
);

reads(
  "BIT STRING of whole octets",
  (reader) => toHex(reader.bitStringOctets()),
  [["030200ff", "ff"]],
  [["one with unused bits", "030201fe"]],
);

const setBits = (reader: DerReader): number[] => {
  const isSet = reader.namedBits();
  return Array.from({ length: 12 }, (_, bit) => bit).filter(isSet);
};
reads(
  "named bits",
  setBits,
  [
    ["030100", []],
    ["030206c0", [0, 1]],
    ["03020186", [0, 5, 6]],
    ["03020204", [5]],
    ["0303070080", [8]],
  ],
  [
    ["a zero bit at the end", "03020680"],
    ["seven zero bits at the end", "03020080"],
    ["a trailing octet of zeros", "0303008000"],
    ["a tenth bit", "0303060040"],
  ],
);

reads("NULL", (reader) => reader.null(), [["0500", undefined]], [["one with content", "050100"]]);

reads(
  "OBJECT IDENTIFIER",
  (reader) => reader.objectIdentifier(),
  [
    ["0603550403", "2.5.4.3"],
    ["06082a8648ce3d040303", "1.2.840.10045.4.3.3"],
    ["060100", "0.0"],
    ["060127", "0.39"],
    ["060128", "1.0"],
    ["06014f", "1.39"],
    ["060150", "2.0"],
    ["0603883703", "2.999.3"],
    ["06072b8fffffffff7f", "1.3.549755813887"],
  ],
  [
    ["an empty one", "0600"],
    ["a padded subidentifier", "0604 55 80 04 03"],
    ["a padded first subidentifier", "06028055"],
    ["one that ends inside a subidentifier", "06025584"],
    ["a subidentifier of 2^53", "06092a9080808080808000"],
    ["a subidentifier over 2^53", "060a2a ffffffffffffffff7f"],
  ],
);

reads(
  "strings",
  (reader) => reader.text(),
  [
    ["0c00", ""],
    ["0c03 61c3a9", "aé"],
    ["0c04 f09f9880", "\u{1f600}"],
    ["0c03 efbbbf", "\ufeff"],
    ["1303 412d5a", "A-Z"],
    ["1602 2a40", "*@"],
  ],
  [
    ["UTF-8 cut short", "0c01c3"],
    ["an overlong form", "0c02c080"],
    ["a surrogate", "0c03eda080"],
    ["a star in a PrintableString", "13012a"],
    ["an at sign in a PrintableString", "130140"],
    ["a Latin letter in a PrintableString", "1301e9"],
    ["an octet over 7F in an IA5String", "160180"],
    ["a TeletexString", "140141"],
    ["a BMPString", "1e020041"],
    ["an OCTET STRING", "040141"],
  ],
);

const time = (tag: number, text: string): string => toHex(encodeTlv(tag, new TextEncoder().encode(text)));
const utc = (text: string) => time(TAG.utcTime, text);
const generalized = (text: string) => time(TAG.generalizedTime, text);
reads(
  "Time",
  (reader) => reader.time().toISOString(),
  [
    [utc("191028132805Z"), "2019-10-28T13:28:05.000Z"],
    [utc("491231235959Z"), "2049-12-31T23:59:59.000Z"],
    [utc("500101000000Z"), "1950-01-01T00:00:00.000Z"],
    [utc("240229000000Z"), "2024-02-29T00:00:00.000Z"],
    [generalized("20500101000000Z"), "2050-01-01T00:00:00.000Z"],
    [generalized("99991231235959Z"), "9999-12-31T23:59:59.000Z"],
  ],
  [
    ["a UTCTime without seconds", utc("1910281328Z")],
    ["a UTCTime with an offset", utc("191028132805+0000")],
    ["a UTCTime without zone", utc("191028132805")],
    ["a UTCTime with other digits", utc("1910281328 5Z")],
    ["a UTCTime in lower case", utc("191028132805z")],
    ["29 February of a common year", utc("230229000000Z")],
    ["31 April", utc("230431000000Z")],
    ["month 13", utc("231301000000Z")],
    ["month 0", utc("230001000000Z")],
    ["day 0", utc("230100000000Z")],
    ["hour 24", utc("230101240000Z")],
    ["minute 60", utc("230101006000Z")],
    ["a leap second", utc("161231235960Z")],
    ["a GeneralizedTime before 2050", generalized("20491231235959Z")],
    ["a GeneralizedTime with a fraction", generalized("20500101000000.5Z")],
    ["a GeneralizedTime without seconds", generalized("205001010000Z")],
    ["a UTCTime's text in another type", time(TAG.utf8String, "191028132805Z")],
    ["a GeneralizedTime's text in another type", time(TAG.utf8String, "20500101000000Z")],
  ],
);

describe("structure", () => {
  const pair = (reader: DerReader) =>
    reader.sequence((components) => [components.smallInteger(), components.smallInteger()] as const);

  it("components are read in their order, and all of them", () => {
    expect(read("3006020101020102", pair)).toEqual([1, 2]);
    expect(() => read("3003020101", pair)).toThrowCode("ERR_DER_MALFORMED");
    expect(() => read("3009020101020102020103", pair)).toThrowCode("ERR_DER_MALFORMED");
  });

  it("a component does not reach beyond its container, although bytes follow", () => {
    expect(() => read("3006020101020202", pair)).toThrowCode("ERR_DER_MALFORMED");
    const nested = (reader: DerReader) =>
      reader.sequence((outer) => [outer.sequence((inner) => octetsOf(inner)), octetsOf(outer)]);
    expect(read("3008 3003 0401aa 0401bb", nested)).toEqual(["aa", "bb"]);
    expect(() => read("3008 3003 0404aa 0401bb", nested)).toThrowCode("ERR_DER_MALFORMED");
  });

  it("OPTIONAL is asked for by its identifier, never beyond the container", () => {
    const optional = (reader: DerReader) => reader.sequence((components) => components.nextIs(TAG.integer));
    expect(() => read("3003020101", optional)).toThrowCode("ERR_DER_MALFORMED");
    const inner = (reader: DerReader) =>
      reader.sequence((outer) => {
        const found = outer.sequence((components) => components.nextIs(TAG.integer));
        return [found, outer.smallInteger()];
      });
    expect(read("3005 3000 020101", inner)).toEqual([false, 1]);
  });

  it("values inside OCTET STRING, BIT STRING and explicit tags are read in place", () => {
    const value = (inner: DerReader) => inner.smallInteger();
    expect(read("0403020105", (reader) => reader.octetStringHolding(value))).toBe(5);
    expect(read("030400020105", (reader) => reader.bitStringHolding(value))).toBe(5);
    expect(read("a303020105", (reader) => reader.constructed(contextConstructed(3), value))).toBe(5);
    expect(() => read("040402010500", (reader) => reader.octetStringHolding(value))).toThrowCode("ERR_DER_MALFORMED");
    expect(() => read("030401020104", (reader) => reader.bitStringHolding(value))).toThrowCode("ERR_DER_MALFORMED");
  });

  it("encodings are handed out as they stood", () => {
    const encodings = (reader: DerReader) =>
      reader.sequence((components) => {
        const peeked = toHex(components.peekEncoded());
        return [peeked, toHex(components.encoded(TAG.integer)), toHex(components.content(TAG.octetString))];
      });
    expect(read("3006 020105 0401aa", encodings)).toEqual(["020105", "020105", "aa"]);
    expect(() => read("3004 1e020101", (reader) => reader.sequence((inner) => inner.encoded(0x1e)))).not.toThrow();
    expect(() => read("3004 1f020101", (reader) => reader.sequence((inner) => inner.encoded(0x1f)))).toThrowCode(
      "ERR_DER_MALFORMED",
    );
  });

  it("pitfall 15: size and depth are bounded", () => {
    expect(readDer(hex("0401ab"), 3, octetsOf)).toBe("ab");
    expect(() => readDer(hex("0401ab"), 2, octetsOf)).toThrowCode("ERR_DER_MALFORMED");
    const descend = (reader: DerReader): number => reader.sequence((inner) => (inner.atEnd ? 1 : 1 + descend(inner)));
    const nested = (depth: number) =>
      toHex(Array.from({ length: depth }).reduce<Uint8Array>((inner) => encodeTlv(0x30, inner), new Uint8Array()));
    expect(read(nested(12), descend)).toBe(12);
    expect(() => read(nested(13), descend)).toThrowCode("ERR_DER_MALFORMED");
    expect(() => read(nested(5000), descend)).toThrowCode("ERR_DER_MALFORMED");
  });
});

describe("hostile input", () => {
  /** Reads whatever comes with the method that its identifier asks for. */
  function readAny(reader: DerReader): unknown {
    const methods = new Map<number, () => unknown>([
      [TAG.boolean, () => reader.boolean()],
      [TAG.integer, () => reader.unsignedInteger()],
      [TAG.bitString, () => reader.namedBits()],
      [TAG.null, () => reader.null()],
      [TAG.objectIdentifier, () => reader.objectIdentifier()],
      [TAG.utcTime, () => reader.time()],
      [TAG.generalizedTime, () => reader.time()],
      [TAG.octetString, () => reader.octetString()],
      [TAG.sequence, () => reader.sequence(readAll)],
      [TAG.set, () => reader.constructed(TAG.set, readAll)],
    ]);
    const [, method] = [...methods].find(([tag]) => reader.nextIs(tag)) ?? [0, () => reader.text()];
    return method();
  }
  function readAll(reader: DerReader): void {
    while (!reader.atEnd) readAny(reader);
  }

  it("pitfall 20: throws nothing but ERR_DER_MALFORMED on random and mutated bytes", () => {
    const sample = encodeTlv(
      TAG.sequence,
      hex("06082a8648ce3d040303 0101ff 170d3139313032383133323830355a 03020186 0c0141 02020080"),
    );
    readDer(sample, MAX_BYTES, readAny);
    const input = fc.oneof(randomBytes, mutated([sample]));
    let refused = 0;
    fc.assert(
      fc.property(input, (bytes) => {
        try {
          readDer(bytes, MAX_BYTES, readAny);
        } catch (error) {
          refused += 1;
          if (!(error instanceof ServiceError) || error.code !== "ERR_DER_MALFORMED") throw error;
        }
      }),
      { numRuns: 20_000, seed: 2 },
    );
    expect(refused).toBeGreaterThan(1000);
  });
});
