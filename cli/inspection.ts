/**
 * The contents of each format that `nitro-decrypt inspect` knows, as lines for people and as JSON. Nothing is judged, but
 * for an image's CRC and signature: image-inspection.ts.
 */
import { parseAttestationDocument } from "../shared/attestation/document.js";
import { AWS_NITRO_ENCLAVES_ROOT_G1 } from "../shared/attestation/trust-anchor.js";
import { digest, isAllZero, toHex } from "../shared/bytes.js";
import { parseCiphertextForRecipient } from "../shared/cms.js";
import type { ServiceError } from "../shared/errors.js";
import { toServiceError } from "../shared/errors.js";
import { parseCertificate } from "../shared/x509.js";
import type { CertificateDates } from "./attestation-report.js";
import { certificateLines, certificatesToJson, claimLines, fieldsToJson, pcrLines } from "./attestation-report.js";
import { parseKmsCiphertext } from "./kms-ciphertext.js";
import type { Line } from "./report.js";

export interface Inspection {
  readonly title: string;
  /** What was checked of it, for the title line. */
  readonly checked: string;
  readonly lines: readonly Line[];
  readonly json: Readonly<Record<string, unknown>>;
  /** What is wrong with it, if something was checked and does not hold: it is shown all the same. */
  readonly refusal?: ServiceError | undefined;
}

const NOTHING_CHECKED = "nothing of it is verified";

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
    checked: NOTHING_CHECKED,
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
    checked: NOTHING_CHECKED,
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
    checked: NOTHING_CHECKED,
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
