/** A certificate with its private key, as TLS connections are served with it. Where it comes from is certificate-source.ts's to say. */
import type { KeyObject } from "node:crypto";
import { toBase64 } from "../../shared/bytes.js";

export interface ServedCertificate {
  /** PEM blocks, the end-entity certificate first. */
  readonly certificateChainPem: string;
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo of the end-entity certificate, DER. */
  readonly spki: Uint8Array;
  readonly notBefore: Date;
  /** When the first certificate of the chain ends. */
  readonly notAfter: Date;
}

/** The PEM block (RFC 7468 §5) of a certificate, line feed included. */
export function encodeCertificatePem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
