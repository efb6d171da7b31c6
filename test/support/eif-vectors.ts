/** The enclave images that another implementation wrote (test/vectors/eif), and changes to them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseEif } from "../../shared/eif/eif.js";
import type { SectionSource } from "./eif-builder.js";
import { buildEif, SECTION } from "./eif-builder.js";
import { projectRoot } from "./project.js";

export const VECTOR_FOLDER = join(projectRoot, "test/vectors/eif");

/** A time at which every certificate of the vectors is valid, and one at which only that of P-384 still is. */
export const VECTORS_VALID = new Date("2027-06-01T00:00:00Z");
export const VECTORS_EXPIRED = new Date("2060-01-01T00:00:00Z");

const schema = z.array(
  z.strictObject({
    file: z.string(),
    architecture: z.enum(["x86_64", "aarch64"]),
    signed: z.boolean(),
    measurements: z.strictObject({
      HashAlgorithm: z.string(),
      PCR0: z.string(),
      PCR1: z.string(),
      PCR2: z.string(),
      PCR8: z.string().optional(),
    }),
  }),
);

/** What the other implementation printed. */
export const eifVectors = schema.parse(JSON.parse(readFileSync(join(VECTOR_FOLDER, "expected.json"), "utf8")));

export const readVector = (file: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(VECTOR_FOLDER, file)));

/** A vector with one byte changed in the contents of a section (counted from the end below 0), and a CRC that holds again. */
export function changeByte(file: string, type: keyof typeof SECTION, at: number): Uint8Array<ArrayBuffer> {
  return replaceContents(file, type, (contents) => {
    const index = at < 0 ? contents.length + at : at;
    return contents.map((byte, i) => (i === index ? byte ^ 1 : byte));
  });
}

/** A vector with other contents in every section of a type, and a CRC that holds. */
export function replaceContents(
  file: string,
  type: keyof typeof SECTION,
  edit: (contents: Uint8Array) => Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { header, sections } = parseEif(readVector(file));
  const edited = sections.map((section): SectionSource => {
    const data = section.type === type ? edit(section.bytes) : section.bytes;
    return { type: SECTION[section.type], flags: section.flags, data };
  });
  return buildEif({ flags: header.flags, sections: edited });
}
