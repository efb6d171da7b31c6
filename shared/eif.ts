/**
 * The enclave image file (EIF) version 4, as aws-nitro-enclaves-image-format writes it: a 548-byte header with a table of
 * sections, then the sections, each behind a 12-byte header of its own; all integers big-endian. And the measurements
 * that the Nitro hypervisor takes of it: PCR0, PCR1, PCR2 and, of a signed image, PCR8.
 *
 * AWS's reader walks the sections one after the other, QEMU's follows the table of offsets. So that one file cannot be
 * two images, the table must describe exactly the sections that follow the header, in order and without gaps, to the end
 * of the file. Refused besides: other versions, section types out of the list, a second kernel, command line, signature
 * or metadata section, an image without kernel, command line or ramdisk.
 *
 * Reading does not judge: a wrong CRC-32 is reported (`crcOk`), the signature is not verified, the flags and sizes for the
 * virtual machine are handed on as they are. Only kernel, command line and ramdisks are measured.
 */
import { extendPcr, zeroPcr } from "./attestation/pcr.js";
import { concatBytes, utf8 } from "./bytes.js";
import type { CborValue } from "./cbor.js";
import { decodeCbor } from "./cbor.js";
import { crc32 } from "./crc32.js";
import { ServiceError } from "./errors.js";
import { decodePem } from "./pem.js";

export const EIF_HEADER_BYTES = 548;
export const EIF_SECTION_HEADER_BYTES = 12;
export const EIF_MAX_SECTIONS = 32;
export const EIF_VERSION = 4;
/** Section types by their number; 0 is invalid. */
export const EIF_SECTION_TYPES = ["invalid", "kernel", "cmdline", "ramdisk", "signature", "metadata"] as const;

const MAGIC = utf8(".eif");
/** A certificate and an ES512 signature, as arrays of one- and two-byte integers, take about 5 KiB. */
const MAX_SIGNATURE_SECTION_BYTES = 64 * 1024;

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
    if (view.getBigUint64(284 + 8 * i) !== BigInt(section.bytes.length)) {
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
}

/**
 * The PCRs of an enclave that boots `eif`. Does not check the CRC-32, nor that the image's signature is its signer's: an
 * image whose signature does not verify never boots, and PCR8 names its certificate all the same.
 * @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED (the signature section)
 */
export async function measureEif(eif: Eif): Promise<ImageMeasurements> {
  const contentsOf = (type: EifSectionType) => eif.sections.filter((s) => s.type === type).map((s) => s.bytes);
  return measureImage({
    kernel: concatBytes(...contentsOf("kernel")),
    cmdline: concatBytes(...contentsOf("cmdline")),
    ramdisks: contentsOf("ramdisk"),
    signingCertificateDer: signingCertificateOf(eif),
  });
}

/**
 * The PCRs of an enclave that boots these parts: each is the extension of a zero PCR with the SHA-384 of its content.
 * PCR0 covers kernel, command line and all ramdisks; PCR1 kernel, command line and the first ramdisk; PCR2 the other
 * ramdisks; PCR8 the signing certificate. PCR0 is over the concatenation: only together with 1 and 2 does it say where
 * one part ends and the next begins.
 * Takes memory for one copy of the image.
 * @throws TypeError when there is no ramdisk
 */
export async function measureImage(image: ImageParts): Promise<ImageMeasurements> {
  const { kernel, cmdline, ramdisks, signingCertificateDer } = image;
  const [base, ...application] = ramdisks;
  if (base === undefined) throw new TypeError("an enclave image has at least one ramdisk");
  const [pcr0, pcr1, pcr2] = await Promise.all([
    measure(kernel, cmdline, ...ramdisks),
    measure(kernel, cmdline, base),
    measure(...application),
  ]);
  if (signingCertificateDer === undefined) return { pcr0, pcr1, pcr2 };
  return { pcr0, pcr1, pcr2, pcr8: await measure(signingCertificateDer) };
}

async function measure(...content: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const digest = await crypto.subtle.digest("SHA-384", concatBytes(...content));
  return extendPcr(zeroPcr(), new Uint8Array(digest));
}

/**
 * DER of the certificate in the signature section, or undefined for an unsigned image. The section is a CBOR array of one
 * map {signing_certificate, signature}, both as arrays of integers, the certificate in PEM.
 * @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED
 */
export function signingCertificateOf(eif: Eif): Uint8Array<ArrayBuffer> | undefined {
  const section = eif.sections.find(({ type }) => type === "signature");
  if (section === undefined) return undefined;
  const signatures = decodeCbor(section.bytes, { maxBytes: MAX_SIGNATURE_SECTION_BYTES });
  if (!Array.isArray(signatures) || signatures.length !== 1) throw malformed("expected exactly one image signature");
  const [signature] = signatures;
  if (!(signature instanceof Map)) throw malformed("the image signature is not a map");
  const pem = new TextDecoder().decode(bytesOfIntegers(signature.get("signing_certificate")));
  const der = decodePem(pem, "CERTIFICATE");
  if (der === undefined) throw malformed("signing_certificate is not one certificate in PEM");
  return der;
}

function bytesOfIntegers(value: CborValue | undefined): Uint8Array {
  const isByte = (n: CborValue) => typeof n === "number" && Number.isInteger(n) && n >= 0 && n <= 255;
  if (!Array.isArray(value) || !value.every(isByte)) throw malformed("signing_certificate is not an array of bytes");
  return Uint8Array.from(value, Number);
}

/**
 * The metadata section (image name and version, build tool, custom fields), or undefined when there is none. Nobody
 * measures or signs it.
 * @throws ServiceError ERR_EIF_MALFORMED when it is not JSON
 */
export function metadataOf(eif: Eif): unknown {
  const section = eif.sections.find(({ type }) => type === "metadata");
  if (section === undefined) return undefined;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(section.bytes));
  } catch (cause) {
    throw new ServiceError("ERR_EIF_MALFORMED", "the metadata section is not JSON", { cause });
  }
}

const malformed = (message: string): ServiceError => new ServiceError("ERR_EIF_MALFORMED", message);
