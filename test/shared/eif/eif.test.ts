import { createHash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, toHex, utf8 } from "../../../shared/bytes.js";
import { crc32 } from "../../../shared/eif/crc32.js";
import {
  assertEifCrc,
  EIF_HEADER_BYTES,
  measureEif,
  measureImage,
  metadataOf,
  parseEif,
} from "../../../shared/eif/eif.js";
import { signingCertificateOf } from "../../../shared/eif/signature-section.js";
import { ServiceError } from "../../../shared/errors.js";
import type { EifSource, SectionSource } from "../../support/eif-builder.js";
import { buildEif, parts, plainSections, SECTION, signatureSection, toPem } from "../../support/eif-builder.js";

const sha384 = (...content: readonly Uint8Array[]) =>
  createHash("sha384")
    .update(concatBytes(...content))
    .digest();
/** The measurement, written down once more from the facts: SHA384(0^48 || SHA384(content)). */
const measurementOf = (...content: readonly Uint8Array[]) =>
  sha384(new Uint8Array(48), sha384(...content)).toString("hex");

const { kernel, cmdline, base, application } = parts;
const certificateDer = new Uint8Array(500).map((_, i) => i * 7);
const signed = (data: Uint8Array): readonly SectionSource[] => [...plainSections, { type: SECTION.signature, data }];
const replaceAt = (index: number, change: Partial<SectionSource>) => ({
  sections: plainSections.map((section, i) => (i === index ? { ...section, ...change } : section)),
});

describe("reading", () => {
  test("reads header and sections of an image as nitro-cli orders them", () => {
    const eif = parseEif(buildEif());
    expect(eif.header).toMatchObject({
      version: 4,
      flags: 0,
      architecture: "x86_64",
      sectionCount: 5,
      defaultCpus: 2n,
    });
    expect(eif.header.defaultMemoryBytes).toBe(536870912n);
    expect(eif.sections.map(({ type }) => type)).toEqual(["kernel", "cmdline", "metadata", "ramdisk", "ramdisk"]);
    expect(eif.sections.map(({ bytes }) => bytes)).toEqual(plainSections.map(({ data }) => data));
    expect(eif.sections[1]?.offset).toBe(EIF_HEADER_BYTES + 12 + kernel.length);
    expect(eif.crcOk).toBe(true);
  });

  test("reads it wherever it lies in a larger buffer", () => {
    const image = buildEif();
    const within = concatBytes(new Uint8Array(13), image, new Uint8Array(5)).subarray(13, 13 + image.length);
    expect(parseEif(within).crcOk).toBe(true);
  });

  test("tells the architecture by the first flag", () => {
    expect(parseEif(buildEif({ flags: 1 })).header.architecture).toBe("aarch64");
  });

  test("reports a wrong CRC without judging it", () => {
    expect(parseEif(buildEif({ crc: 1 })).crcOk).toBe(false);
  });

  test("the CRC covers every byte but its own four", () => {
    const image = buildEif();
    const kernelByte = EIF_HEADER_BYTES + 20;
    for (const at of [8, 26 + 500, EIF_HEADER_BYTES + 2, kernelByte, image.length - 1]) {
      const changed = image.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(parseEif(changed).crcOk, `${at}`).toBe(false);
    }
  });

  test("hands out the metadata as JSON, and none where there is none", () => {
    expect(metadataOf(parseEif(buildEif()))).toMatchObject({ ImageName: "test" });
    const without = plainSections.filter(({ type }) => type !== SECTION.metadata);
    expect(metadataOf(parseEif(buildEif({ sections: without })))).toBeUndefined();
  });
});

const inOrder = (...indexes: readonly number[]) => indexes.flatMap((i) => plainSections.slice(i, i + 1));

/** Each is one change to an image that is read. */
const refusals: readonly (readonly [string, EifSource])[] = [
  ["another magic", { magic: ".elf" }],
  ["version 3", { version: 3 }],
  ["version 5", { version: 5 }],
  [
    "more than 32 sections",
    { sections: Array<SectionSource>(33).fill({ type: SECTION.ramdisk, data: new Uint8Array(1) }) },
  ],
  ["no section at all", { sections: [] }],
  ["a table with a section too few", { sectionCount: 4 }],
  ["a table with a section too many", { sectionCount: 6 }],
  ["bytes between the header and the first section", { gap: new Uint8Array(4) }],
  ["bytes after the last section", { trailing: new Uint8Array(1) }],
  ["a section of type 0", replaceAt(0, { type: 0 })],
  ["a section of type 6", replaceAt(0, { type: 6 })],
  ["pitfall 18: a table that points elsewhere", replaceAt(4, { tableOffset: 548n })],
  ["pitfall 18: a table that gives another size", replaceAt(4, { tableSize: 499n })],
  ["a section that is longer than the file", replaceAt(4, { headerSize: 501n })],
  ["a section of 2^64-1 bytes", replaceAt(4, { headerSize: 2n ** 64n - 1n })],
  ["a section of 2^53+1 bytes", replaceAt(4, { headerSize: 2n ** 53n + 1n })],
  ["no kernel", { sections: plainSections.slice(1) }],
  ["two kernels", { sections: [...plainSections, { type: SECTION.kernel, data: kernel }] }],
  ["no command line", { sections: plainSections.filter(({ type }) => type !== SECTION.cmdline) }],
  ["two command lines", { sections: [...plainSections, { type: SECTION.cmdline, data: cmdline }] }],
  ["the command line before the kernel", { sections: inOrder(1, 0, 2, 3, 4) }],
  ["a ramdisk before the kernel", { sections: inOrder(3, 0, 1, 2, 4) }],
  ["a ramdisk before the command line", { sections: inOrder(0, 3, 1, 2, 4) }],
  ["no ramdisk", { sections: plainSections.slice(0, 3) }],
  [
    "two signature sections",
    { sections: [...signed(new Uint8Array()), { type: SECTION.signature, data: new Uint8Array() }] },
  ],
  ["two metadata sections", { sections: [...plainSections, { type: SECTION.metadata, data: parts.metadata }] }],
];

describe("what is refused", () => {
  test.each(refusals)("refuses %s", (_, change) => {
    expect(parseEif(buildEif()).crcOk).toBe(true);
    expect(() => parseEif(buildEif(change))).toThrowCode("ERR_EIF_MALFORMED");
  });

  test("refuses every strict prefix", () => {
    const image = buildEif();
    for (let end = 0; end < image.length; end++) {
      expect(() => parseEif(image.subarray(0, end)), `${end}`).toThrowCode("ERR_EIF_MALFORMED");
    }
  });

  test("refuses metadata that is not JSON, or not UTF-8", () => {
    for (const data of [utf8("{"), Uint8Array.of(0x22, 0xff, 0x22)]) {
      const eif = parseEif(buildEif(replaceAt(2, { data })));
      expect(() => metadataOf(eif)).toThrowCode("ERR_EIF_MALFORMED");
    }
  });

  test("pitfall 20: throws nothing but ERR_EIF_MALFORMED on images with bytes changed", () => {
    const image = buildEif();
    // Changes fall on the header, its table and the section headers, where they matter.
    const change = fc.tuple(fc.oneof(fc.nat(563), fc.nat(image.length - 1)), fc.nat(255));
    const mutate = fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(20), (changes, cut) => {
      const mutated = image.slice(0, image.length - cut);
      for (const [at, value] of changes) if (at < mutated.length) mutated[at] = value;
      try {
        parseEif(mutated);
      } catch (error) {
        if (!(error instanceof ServiceError && error.code === "ERR_EIF_MALFORMED")) throw error;
      }
    });
    fc.assert(mutate, { seed: 2, numRuns: 10_000 });
  });
});

describe("the table's size of a signature", () => {
  test("may be another: AWS's signer leaves it as it was when it signs again", () => {
    const signature = { type: SECTION.signature, data: new Uint8Array(9), tableSize: 8n };
    expect(parseEif(buildEif({ sections: [...plainSections, signature] })).sections[5]?.bytes).toHaveLength(9);
    const elsewhere = { ...signature, tableOffset: 548n };
    expect(() => parseEif(buildEif({ sections: [...plainSections, elsewhere] }))).toThrowCode("ERR_EIF_MALFORMED");
  });
});

describe("metadata", () => {
  const metadataIn = (text: string) => metadataOf(parseEif(buildEif(replaceAt(2, { data: utf8(text) }))));
  const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

  test("is JSON of any kind, wherever it stands", () => {
    expect(metadataIn("[1]")).toEqual([1]);
    expect(metadataOf(parseEif(buildEif({ sections: inOrder(2, 0, 1, 3, 4) })))).toMatchObject({ ImageName: "test" });
    expect(metadataIn(nested(128))).toBeDefined();
    expect(metadataIn(`"${"x".repeat(2 ** 20 - 2)}"`)).toHaveLength(2 ** 20 - 2);
  });

  test.each([
    ["no JSON", "{"],
    ["a byte order mark", "\ufeff{}"],
    ["deeper than 128 levels", nested(129)],
    ["so deep that a stack would not do", nested(400_000)],
    ["longer than 1 MiB", `"${"x".repeat(2 ** 20 - 1)}"`],
  ])("refuses %s", (_, text) => {
    expect(() => metadataIn(text)).toThrowCode("ERR_EIF_MALFORMED");
  });
});

describe("the CRC", () => {
  test("that is another is refused by who asks for it", () => {
    expect(() => assertEifCrc(parseEif(buildEif()))).not.toThrow();
    expect(() => assertEifCrc(parseEif(buildEif({ crc: 1 })))).toThrowCode("ERR_EIF_CRC");
  });
});

describe("measuring", () => {
  const measurements = async (source: EifSource = {}) => {
    const { pcr0, pcr1, pcr2, pcr8 } = await measureEif(parseEif(buildEif(source)));
    return { pcr0: toHex(pcr0), pcr1: toHex(pcr1), pcr2: toHex(pcr2), pcr8: pcr8 && toHex(pcr8) };
  };

  test("PCR0 is over everything, PCR1 over kernel, command line and first ramdisk, PCR2 over the other ramdisks", async () => {
    expect(await measurements()).toEqual({
      pcr0: measurementOf(kernel, cmdline, base, application),
      pcr1: measurementOf(kernel, cmdline, base),
      pcr2: measurementOf(application),
      pcr8: undefined,
    });
  });

  test("three ramdisks: the last two are the application", async () => {
    const more = utf8("one more ramdisk");
    const { pcr1, pcr2 } = await measurements({ sections: [...plainSections, { type: SECTION.ramdisk, data: more }] });
    expect(pcr1).toBe(measurementOf(kernel, cmdline, base));
    expect(pcr2).toBe(measurementOf(application, more));
  });

  test("an image of one ramdisk has the PCR2 that every such image has", async () => {
    // Seen in public build logs of images without an application ramdisk.
    const known = "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a";
    expect((await measurements({ sections: plainSections.slice(0, 4) })).pcr2).toBe(known);
  });

  test("metadata, section flags and the CRC are not measured", async () => {
    const baseline = await measurements();
    expect(await measurements(replaceAt(2, { data: utf8("{}") }))).toEqual(baseline);
    expect(await measurements(replaceAt(0, { flags: 1 }))).toEqual(baseline);
    expect(await measurements({ sections: plainSections, crc: 5 })).toEqual(baseline);
  });

  test.each([0, 1, 3, 4])("a changed byte in section %i changes PCR0", async (index) => {
    const data = plainSections[index]?.data.slice() ?? new Uint8Array();
    data[0] = (data[0] ?? 0) ^ 1;
    expect((await measurements(replaceAt(index, { data }))).pcr0).not.toBe((await measurements()).pcr0);
  });

  test("pitfall 7: bytes moved from one section to the next keep PCR0 and change PCR1 or PCR2", async () => {
    const moved = plainSections.map((section, i) => {
      if (i === 3) return { ...section, data: base.subarray(0, -10) };
      return i === 4 ? { ...section, data: concatBytes(base.subarray(-10), application) } : section;
    });
    const [before, after] = [await measurements(), await measurements({ sections: moved })];
    expect(after.pcr0).toBe(before.pcr0);
    expect(after.pcr1).not.toBe(before.pcr1);
    expect(after.pcr2).not.toBe(before.pcr2);
  });

  test("PCR8 is over the DER of the signing certificate", async () => {
    const sections = signed(signatureSection(toPem("CERTIFICATE", certificateDer)));
    expect(await measurements({ sections })).toEqual({
      ...(await measurements()),
      pcr8: measurementOf(certificateDer),
    });
  });

  test("measureImage gives the same from the parts alone", async () => {
    const image = { kernel, cmdline, ramdisks: [base, application], signingCertificateDer: certificateDer };
    const sections = signed(signatureSection(toPem("CERTIFICATE", certificateDer)));
    expect(await measureImage(image)).toEqual(await measureEif(parseEif(buildEif({ sections }))));
    await expect(measureImage({ ...image, ramdisks: [] })).rejects.toThrow(TypeError);
  });
});

describe("the signature section", () => {
  const certificate = toPem("CERTIFICATE", certificateDer);
  const certificateIn = (data: Uint8Array) => signingCertificateOf(parseEif(buildEif({ sections: signed(data) })));

  test("yields the certificate; an unsigned image has none", () => {
    expect(certificateIn(signatureSection(certificate))).toEqual(certificateDer);
    expect(signingCertificateOf(parseEif(buildEif()))).toBeUndefined();
  });

  test.each([
    ["two signatures", signatureSection(certificate, 2)],
    ["no signature", signatureSection(certificate, 0)],
    ["an array of something else", Uint8Array.of(0x81, 0x01)],
    ["a map", Uint8Array.of(0xa0)],
    ["a signature without a certificate", Uint8Array.of(0x81, 0xa0)],
    ["a certificate that is not PEM", signatureSection("this is not a certificate")],
    ["a private key in the certificate's place", signatureSection(toPem("PRIVATE KEY", certificateDer))],
    ["two certificates", signatureSection(certificate + certificate)],
    ["a certificate whose base64 is wrong", signatureSection(certificate.replace("\n-----END", "A\n-----END"))],
    ["an empty certificate", signatureSection(toPem("CERTIFICATE", new Uint8Array()))],
  ])("refuses %s", (_, data) => {
    expect(() => certificateIn(data)).toThrowCode("ERR_EIF_MALFORMED");
  });

  test("refuses what is not CBOR", () => {
    expect(() => certificateIn(signatureSection(certificate).subarray(0, -1))).toThrowCode("ERR_CBOR_MALFORMED");
  });
});

describe("crc32", () => {
  test("has the check value of CRC-32/ISO-HDLC", () => {
    expect(crc32(utf8("123456789"))).toBe(0xcbf43926);
    expect(crc32(utf8("1234"), utf8("56789"))).toBe(0xcbf43926);
    expect(crc32()).toBe(0);
  });

  test("agrees with zlib", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => crc32(bytes) === zlibCrc32(bytes)),
      { seed: 2, numRuns: 500 },
    );
  });
});
