/**
 * What `nitro-decrypt inspect` and `pcrs` find out about an enclave image file: its measurements, whether its CRC holds,
 * and whether its signature is one of this image by the key of its certificate.
 */
import { toHex } from "../shared/bytes.js";
import type { Eif, ImageMeasurements } from "../shared/eif/eif.js";
import { assertEifCrc, measureEif, metadataOf, parseEif } from "../shared/eif/eif.js";
import type { VerifiedEifSignature } from "../shared/eif/signature.js";
import { verifyEifSignature } from "../shared/eif/signature.js";
import { ServiceError } from "../shared/errors.js";
import type { Inspection } from "./inspection.js";
import type { Line } from "./report.js";

/** Enclave images are read whole, and measuring copies them once more. */
export const MAX_IMAGE_BYTES = 1 << 30;

export interface ExaminedImage {
  readonly eif: Eif;
  /** PCR0, 1, 2 and, of a signed image, 8; lower-case hexadecimal. */
  readonly pcrs: Readonly<Record<number, string>>;
  /** Undefined for an unsigned image; the refusal where the signature does not hold. */
  readonly signature: VerifiedEifSignature | ServiceError | undefined;
  /** The first check that does not hold. */
  readonly refusal: ServiceError | undefined;
}

/** @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED: it cannot be measured */
export async function examineImage(bytes: Uint8Array, now: Date): Promise<ExaminedImage> {
  const eif = parseEif(bytes);
  const measurements = await measureEif(eif);
  const signature = await verifyEifSignature(eif, { pcr0: measurements.pcr0, now }).catch(refusalOf);
  const refusal = crcRefusal(eif) ?? (signature instanceof ServiceError ? signature : undefined);
  return { eif, pcrs: pcrsInHex(measurements), signature, refusal };
}

function crcRefusal(eif: Eif): ServiceError | undefined {
  try {
    assertEifCrc(eif);
    return undefined;
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  throw error;
}

const pcrsInHex = ({ pcr0, pcr1, pcr2, pcr8 }: ImageMeasurements): Readonly<Record<number, string>> => ({
  0: toHex(pcr0),
  1: toHex(pcr1),
  2: toHex(pcr2),
  ...(pcr8 && { 8: toHex(pcr8) }),
});

/** @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED */
export async function inspectImage(bytes: Uint8Array, now: Date): Promise<Inspection> {
  const { eif, pcrs, signature, refusal } = await examineImage(bytes, now);
  const { header, sections, crcOk } = eif;
  const metadata = metadataOf(eif);
  return {
    title: "an enclave image file (EIF)",
    checked: "its CRC-32 and its signature are checked, whose certificate it is is not",
    lines: [
      ["size", `${bytes.length} bytes`],
      ["version", `${header.version}, ${header.architecture}, flags ${header.flags}`],
      ["defaults", `${header.defaultMemoryBytes} bytes of memory, ${header.defaultCpus} CPUs`],
      ["CRC-32", `${hex32(header.crc32)}, ${crcOk ? "which is that of the file" : "which is NOT that of the file"}`],
      ...sections.map(
        ({ type, bytes: { length }, offset }, i): Line => [
          i === 0 ? "sections" : "",
          `${type.padEnd(9)} ${length} bytes at ${offset}`,
        ],
      ),
      ...Object.entries(pcrs).map(([index, value]): Line => [`PCR${index}`, value]),
      ...signatureLines(signature),
      ["metadata", metadata === undefined ? "none" : JSON.stringify(metadata)],
    ],
    json: {
      kind: "eif",
      verified: false,
      bytes: bytes.length,
      ...imageToJson(eif),
      pcrs,
      signature: signatureToJson(signature),
      metadata: metadata ?? null,
    },
    refusal,
  };
}

function signatureLines(signature: ExaminedImage["signature"]): readonly Line[] {
  if (signature === undefined) return [["signature", "none"]];
  if (signature instanceof ServiceError) return [["signature", `NOT valid: ${signature.code}: ${signature.message}`]];
  const { algorithm, certificate, certificateCurrent } = signature;
  const validity = `${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()}`;
  return [
    ["signature", `valid: ${algorithm} over this PCR0, by the key of the certificate`],
    ["signer", certificate.subject],
    ["", `SHA-256 ${certificate.sha256}`],
    ["", `${validity}${certificateCurrent ? "" : `, which is NOT now: ${NOT_CURRENT}`}`],
  ];
}

/** `nitro-cli` checks it when an enclave is started. */
export const NOT_CURRENT = "nitro-cli does not start an image whose certificate has expired or is not valid yet";

function signatureToJson(signature: ExaminedImage["signature"]) {
  if (signature === undefined) return null;
  if (signature instanceof ServiceError) {
    return { valid: false, error: { code: signature.code, message: signature.message } };
  }
  const { algorithm, certificateCurrent } = signature;
  const { subject, sha256, notBefore, notAfter } = signature.certificate;
  const dates = { notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() };
  return { valid: true, algorithm, certificate: { subject, sha256, ...dates, current: certificateCurrent } };
}

/** JSON has no 64-bit integers: memory and CPUs are decimal text. */
const imageToJson = ({ header, sections, crcOk }: Eif) => ({
  header: {
    version: header.version,
    flags: header.flags,
    architecture: header.architecture,
    defaultMemoryBytes: String(header.defaultMemoryBytes),
    defaultCpus: String(header.defaultCpus),
    crc32: hex32(header.crc32),
  },
  crcOk,
  sections: sections.map(({ type, flags, offset, bytes }) => ({ type, flags, offset, bytes: bytes.length })),
});

const hex32 = (value: number): string => value.toString(16).padStart(8, "0");
