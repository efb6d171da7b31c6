/**
 * The enclave image file (EIF) version 4, as aws-nitro-enclaves-image-format writes it: a 548-byte header with a table of
 * sections, then the sections, each behind a 12-byte header of its own; all integers big-endian. And the measurements
 * that the Nitro hypervisor takes of it: PCR0, PCR1, PCR2 and, of a signed image, PCR8.
 *
 * AWS's reader walks the sections one after the other, QEMU's follows the table of offsets. So that one file cannot be
 * two images, the table must describe exactly the sections that follow the header, in order and without gaps, to the end
 * of the file; but for the size of a signature, which AWS's signer leaves as it was when it signs again, and which no
 * reader goes by: AWS's ignores the table, QEMU's refuses the file. AWS's reader measures the sections as they come, so
 * kernel, command line and ramdisks must come in this order, as every builder writes them. Refused besides: other versions,
 * section types out of the list, a second kernel, command line, signature or metadata section, an image without kernel,
 * command line or ramdisk.
 *
 * Reading does not judge: a wrong CRC-32 is reported (`crcOk`, `assertEifCrc`), the signature is for signature.ts to
 * verify, the flags and sizes for the virtual machine are handed on as they are. Only kernel, command line and ramdisks are
 * measured.
 */
import { extendPcr, zeroPcr } from "../attestation/pcr.js";
import { concatBytes, copyBytes, utf8 } from "../bytes.js";
import { ServiceError } from "../errors.js";
import { crc32 } from "./crc32.js";
import { signingCertificateOf } from "./signature-section.js";

export const EIF_HEADER_BYTES = 548;
export const EIF_SECTION_HEADER_BYTES = 12;
export const EIF_MAX_SECTIONS = 32;
export const EIF_VERSION = 4;
/** Section types by their number; 0 is invalid. */
export const EIF_SECTION_TYPES = ["invalid", "kernel", "cmdline", "ramdisk", "signature", "metadata"] as const;

const MAGIC = utf8(".eif");
/** What `docker inspect` says of the image makes up most of it: some KiB. */
const MAX_METADATA_BYTES = 1024 * 1024;
/** How deep AWS's JSON reader goes. */
const MAX_METADATA_DEPTH = 128;

export type EifSectionType = Exclude<(typeof EIF_SECTION_TYPES)[number], "invalid">;

export interface EifHeader {
  readonly version: number;
  readonly flags: number;
  readonly architecture: "x86_64" | "aarch64";
  readonly defaultMemoryBytes: bigint;
  readonly defaultCpus: bigint;
  readonly sectionCount: number;
  readonly crc32: number;
}

export interface EifSection {
  readonly type: EifSectionType;
  readonly flags: number;
  /** Where the section's header starts in the file. */
  readonly offset: number;
  /** The contents: a view on the input. */
  readonly bytes: Uint8Array;
}

export interface Eif {
  readonly header: EifHeader;
  /** In file order. */
  readonly sections: readonly EifSection[];
  /** Whether the CRC-32 over the whole file but itself is the one that the header states. */
  readonly crcOk: boolean;
}

/** What the hypervisor measures. */
export interface ImageParts {
  readonly kernel: Uint8Array;
  readonly cmdline: Uint8Array;
  /** The first is the base (init, nsm.ko), the others hold the application. */
  readonly ramdisks: readonly Uint8Array[];
  /** DER of the signing certificate, for a signed image. */
  readonly signingCertificateDer?: Uint8Array | undefined;
}

/** PCR values of 48 bytes. `pcr8` is there for signed images only: an enclave from an unsigned one reports zeros. */
export interface ImageMeasurements {
  readonly pcr0: Uint8Array<ArrayBuffer>;
  readonly pcr1: Uint8Array<ArrayBuffer>;
  readonly pcr2: Uint8Array<ArrayBuffer>;
  readonly pcr8?: Uint8Array<ArrayBuffer>;
}

/**
 * Reads an EIF. On return the sections are within the file and tile it; see the module comment for what is not judged.
 * @throws ServiceError ERR_EIF_MALFORMED
 */
export function parseEif(bytes: Uint8Array): Eif {
  if (bytes.length < EIF_HEADER_BYTES) throw malformed(`expected a header of ${EIF_HEADER_BYTES} bytes`);
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) throw malformed('the file does not start with ".eif"');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view);
  const sections = readSections(view, header.sectionCount, bytes);
  assertBootable(sections);
  return { header, sections, crcOk: crc32(bytes.subarray(0, 544), bytes.subarray(EIF_HEADER_BYTES)) === header.crc32 };
}

function readHeader(view: DataView): EifHeader {
  const version = view.getUint16(4);
  if (version !== EIF_VERSION) throw malformed(`expected EIF version ${EIF_VERSION}, got ${version}`);
  const flags = view.getUint16(6);
  const sectionCount = view.getUint16(26);
  if (sectionCount > EIF_MAX_SECTIONS) throw malformed(`expected at most ${EIF_MAX_SECTIONS} sections`);
  return {
    version,
    flags,
    architecture: (flags & 1) === 1 ? "aarch64" : "x86_64",
    defaultMemoryBytes: view.getBigUint64(8),
    defaultCpus: view.getBigUint64(16),
    sectionCount,
    crc32: view.getUint32(544),
  };
}

function readSections(view: DataView, count: number, bytes: Uint8Array): EifSection[] {
  const sections: EifSection[] = [];
  let offset = EIF_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const section = readSection(view, offset, bytes);
    if (view.getBigUint64(28 + 8 * i) !== BigInt(offset)) {
      throw malformed(`section ${i} does not start where the one before it ends`);
    }
    const sizeInTable = view.getBigUint64(284 + 8 * i);
    // aws-nitro-enclaves-image-format 0.8.1, write_signature: signing again leaves the old signature's size in the table
    if (section.type !== "signature" && sizeInTable !== BigInt(section.bytes.length)) {
      throw malformed(`section ${i} has another size in the table than in its header`);
    }
    sections.push(section);
    offset += EIF_SECTION_HEADER_BYTES + section.bytes.length;
  }
  if (offset !== bytes.length) throw malformed("the file goes on after its last section");
  return sections;
}

function readSection(view: DataView, offset: number, bytes: Uint8Array): EifSection {
  const start = offset + EIF_SECTION_HEADER_BYTES;
  if (start > bytes.length) throw malformed("the file ends inside a section header");
  const size = view.getBigUint64(offset + 4);
  if (size > BigInt(bytes.length - start)) throw malformed("the file ends inside a section");
  const type = EIF_SECTION_TYPES[view.getUint16(offset)];
  if (type === undefined || type === "invalid") throw malformed("a section is of no known type");
  return { type, flags: view.getUint16(offset + 2), offset, bytes: bytes.subarray(start, start + Number(size)) };
}

function assertBootable(sections: readonly EifSection[]): void {
  const count = (type: EifSectionType) => sections.filter((section) => section.type === type).length;
  if (count("kernel") !== 1) throw malformed("expected exactly one kernel section");
  if (count("cmdline") !== 1) throw malformed("expected exactly one command line section");
  if (count("ramdisk") === 0) throw malformed("expected at least one ramdisk section");
  if (count("signature") > 1) throw malformed("expected at most one signature section");
  if (count("metadata") > 1) throw malformed("expected at most one metadata section");
  const measured = sections.map(({ type }) => type).filter((type) => type !== "signature" && type !== "metadata");
  if (measured[0] !== "kernel" || measured[1] !== "cmdline") {
    throw malformed("expected kernel, command line and ramdisks in this order");
  }
}

/**
 * Asserts that the file is the one that its CRC-32 was computed for. That finds damage; whoever changes a file on purpose
 * computes it anew.
 * @throws ServiceError ERR_EIF_CRC
 */
export function assertEifCrc({ crcOk }: Eif): void {
  if (!crcOk) throw new ServiceError("ERR_EIF_CRC", "the CRC-32 of the file is not the one in its header");
}

/**
 * The PCRs of an enclave that boots `eif`. Does not check the CRC-32, nor that the image's signature is its signer's: an
 * image whose signature does not verify never boots, and PCR8 names its certificate all the same.
 * @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED (the signature section)
 */
export async function measureEif(eif: Eif): Promise<ImageMeasurements> {
  const contentsOf = (type: EifSectionType) => eif.sections.filter((s) => s.type === type).map((s) => s.bytes);
  const [[kernel], [cmdline], ramdisks] = [contentsOf("kernel"), contentsOf("cmdline"), contentsOf("ramdisk")];
  if (kernel === undefined || cmdline === undefined) throw new TypeError("unreachable: parseEif takes no such image");
  return measureImage({ kernel, cmdline, ramdisks, signingCertificateDer: signingCertificateOf(eif) });
}

/**
 * The PCRs of an enclave that boots these parts: each is the extension of a zero PCR with the SHA-384 of its content.
 * PCR0 covers kernel, command line and all ramdisks; PCR1 kernel, command line and the first ramdisk; PCR2 the other
 * ramdisks; PCR8 the signing certificate. PCR0 is over the concatenation: only together with 1 and 2 does it say where
 * one part ends and the next begins.
 * Takes memory for one copy of the image, and what WebCrypto takes for one digest at a time.
 * @throws TypeError when there is no ramdisk
 */
export async function measureImage(image: ImageParts): Promise<ImageMeasurements> {
  const { kernel, cmdline, ramdisks, signingCertificateDer } = image;
  const [base] = ramdisks;
  if (base === undefined) throw new TypeError("an enclave image has at least one ramdisk");
  const whole = concatBytes(kernel, cmdline, ...ramdisks);
  const application = kernel.length + cmdline.length + base.length;
  const pcr0 = await measure(whole);
  const pcr1 = await measure(whole.subarray(0, application));
  const pcr2 = await measure(whole.subarray(application));
  if (signingCertificateDer === undefined) return { pcr0, pcr1, pcr2 };
  return { pcr0, pcr1, pcr2, pcr8: await measure(copyBytes(signingCertificateDer)) };
}

async function measure(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return extendPcr(zeroPcr(), new Uint8Array(await crypto.subtle.digest("SHA-384", content)));
}

/**
 * The metadata section (image name and version, build tool, custom fields), or undefined when there is none. Nobody
 * measures or signs it.
 * @throws ServiceError ERR_EIF_MALFORMED when it is not JSON, longer than 1 MiB or nested deeper than 128 levels
 */
export function metadataOf(eif: Eif): unknown {
  const section = eif.sections.find(({ type }) => type === "metadata");
  if (section === undefined) return undefined;
  if (section.bytes.length > MAX_METADATA_BYTES) throw malformed(`metadata is longer than ${MAX_METADATA_BYTES} bytes`);
  const metadata = parseMetadata(section.bytes);
  // JSON.parse takes any depth; who walks over the result, JSON.stringify for one, has a stack
  if (!isWithinDepth(metadata, MAX_METADATA_DEPTH)) throw malformed("metadata is nested too deeply");
  return metadata;
}

function parseMetadata(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new ServiceError("ERR_EIF_MALFORMED", "the metadata section is not JSON", { cause });
  }
}

function isWithinDepth(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isWithinDepth(inner, depth - 1));
}

const malformed = (message: string): ServiceError => new ServiceError("ERR_EIF_MALFORMED", message);
