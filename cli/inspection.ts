/** The contents of each format that `nitro-decrypt inspect` knows, as lines for people and as JSON. Nothing is judged. */
import { parseAttestationDocument } from "../shared/attestation/document.js";
import { AWS_NITRO_ENCLAVES_ROOT_G1 } from "../shared/attestation/trust-anchor.js";
import { digest, isAllZero, toHex } from "../shared/bytes.js";
import { parseCiphertextForRecipient } from "../shared/cms.js";
import type { Eif, ImageMeasurements } from "../shared/eif.js";
import { measureEif, metadataOf, parseEif } from "../shared/eif.js";
import { toServiceError } from "../shared/errors.js";
import { parseCertificate } from "../shared/x509.js";
import type { CertificateDates } from "./attestation-report.js";
import { certificateLines, certificatesToJson, claimLines, fieldsToJson, pcrLines } from "./attestation-report.js";
import { parseKmsCiphertext } from "./kms-ciphertext.js";
import type { Line } from "./report.js";

export interface Inspection {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly json: Readonly<Record<string, unknown>>;
}

/** @throws ServiceError with the code of the layer that is malformed */
export async function inspectAttestation(bytes: Uint8Array): Promise<Inspection> {
  const document = parseAttestationDocument(bytes);
  const root = toHex(await digest("SHA-256", document.caBundle[0] ?? new Uint8Array()));
  const isAws = root === AWS_NITRO_ENCLAVES_ROOT_G1.sha256;
  const certificates = [...document.caBundle, document.certificate].map(readCertificate);
  const readable = certificates.filter((certificate) => "subject" in certificate);
  const unreadable = certificates.filter((certificate) => "unreadable" in certificate);
  const timestamp = new Date(document.timestampMs).toISOString();
  const debug = isAllZero(document.pcrs.get(0) ?? new Uint8Array());
  return {
    title: "an attestation document",
    lines: [
      ["size", `${bytes.length} bytes`],
      ["module", document.moduleId],
      ["timestamp", timestamp],
      ["digest", document.digest],
      ["debug mode", debug ? "yes (PCR0 is zero)" : "no"],
      ...pcrLines(document.pcrs),
      ["root", `SHA-256 ${root}, which is ${isAws ? "" : "NOT "}that of ${AWS_NITRO_ENCLAVES_ROOT_G1.name}`],
      ...certificateLines(readable),
      ...unreadable.map((certificate): Line => ["", `not readable: ${certificate.unreadable}`]),
      ...claimLines(document),
    ],
    json: {
      kind: "attestation-document",
      verified: false,
      bytes: bytes.length,
      moduleId: document.moduleId,
      timestamp,
      digest: document.digest,
      debug,
      ...fieldsToJson(document),
      rootSha256: root,
      certificates: [...certificatesToJson(readable), ...unreadable],
    },
  };
}

/** A certificate outside the Nitro profile is shown as such: the rest of the document may still be of interest. */
function readCertificate(der: Uint8Array): CertificateDates | { readonly unreadable: string } {
  try {
    const { subjectCommonName, notBefore, notAfter } = parseCertificate(der);
    return { subject: subjectCommonName, notBefore, notAfter };
  } catch (error) {
    const { code, message } = toServiceError(error);
    return { unreadable: `${code}: ${message}` };
  }
}

/** @throws ServiceError ERR_CMS_MALFORMED */
export function inspectEnvelope(bytes: Uint8Array): Inspection {
  const { subjectKeyIdentifier, encryptedKey, iv, ciphertext } = parseCiphertextForRecipient(bytes);
  return {
    title: "a CiphertextForRecipient",
    lines: [
      ["size", `${bytes.length} bytes`],
      ["recipient", `${toHex(subjectKeyIdentifier)} (SHA-256 of the public key's SubjectPublicKeyInfo)`],
      ["wrapped key", `${encryptedKey.length} bytes, RSAES-OAEP with SHA-256`],
      [
        "content",
        `${ciphertext.length} bytes, AES-256-CBC: ${ciphertext.length - 16} to ${ciphertext.length - 1} of plaintext`,
      ],
      ["IV", toHex(iv)],
    ],
    json: {
      kind: "ciphertext-for-recipient",
      verified: false,
      bytes: bytes.length,
      subjectKeyIdentifier: toHex(subjectKeyIdentifier),
      keyEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
      encryptedKeyBytes: encryptedKey.length,
      contentEncryptionAlgorithm: "AES-256-CBC",
      iv: toHex(iv),
      ciphertextBytes: ciphertext.length,
    },
  };
}

export function inspectKmsCiphertext(bytes: Uint8Array): Inspection {
  const { prefix, keyBytes, otherBytes, content } = parseKmsCiphertext(bytes);
  const contentLines: Line[] = content
    ? [
        ["content", `${content.sealedBytes} bytes, AES-256-GCM with a tag of ${content.tagBytes} bytes`],
        ["nonce", content.nonce],
      ]
    : [["content", "not of the usual form"]];
  return {
    title: "a ciphertext of AWS KMS, by its outer shape, which AWS does not document",
    lines: [
      ["size", `${bytes.length} bytes`],
      ["prefix", prefix],
      ["key", `${keyBytes} (opaque; the key's ARN is not in the ciphertext)`],
      ["other", `${otherBytes} (opaque)`],
      ...contentLines,
    ],
    json: {
      kind: "kms-ciphertext",
      verified: false,
      bytes: bytes.length,
      prefix,
      keyBytes,
      otherBytes,
      content: content ? { algorithm: "AES-256-GCM", ...content } : null,
    },
  };
}

/** @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED */
export async function inspectImage(bytes: Uint8Array): Promise<Inspection> {
  const eif = parseEif(bytes);
  const metadata = metadataOf(eif);
  const pcrs = pcrsOf(await measureEif(eif));
  return {
    title: "an enclave image file (EIF)",
    lines: [
      ["size", `${bytes.length} bytes`],
      ["version", `${eif.header.version}, ${eif.header.architecture}, flags ${eif.header.flags}`],
      ["defaults", `${eif.header.defaultMemoryBytes} bytes of memory, ${eif.header.defaultCpus} CPUs`],
      [
        "CRC-32",
        `${hex32(eif.header.crc32)}, ${eif.crcOk ? "which is that of the file" : "which is NOT that of the file"}`,
      ],
      ...eif.sections.map(
        (section, i): Line => [
          i === 0 ? "sections" : "",
          `${section.type.padEnd(9)} ${section.bytes.length} bytes at ${section.offset}`,
        ],
      ),
      ...Object.entries(pcrs).map(([index, value]): Line => [`PCR${index}`, value]),
      ["signed", 8 in pcrs ? "yes (PCR8 is that of the certificate; the signature is not checked)" : "no"],
      ["metadata", metadata === undefined ? "none" : JSON.stringify(metadata)],
    ],
    json: { kind: "eif", verified: false, bytes: bytes.length, ...imageToJson(eif), pcrs, metadata: metadata ?? null },
  };
}

const pcrsOf = ({ pcr0, pcr1, pcr2, pcr8 }: ImageMeasurements): Readonly<Record<number, string>> => ({
  0: toHex(pcr0),
  1: toHex(pcr1),
  2: toHex(pcr2),
  ...(pcr8 && { 8: toHex(pcr8) }),
});

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
