/** PEM of certification authorities, as configurations hold it: one certificate in each text. */
import { X509Certificate } from "node:crypto";
import { z } from "zod";

/** The PEM of one CA certificate. */
export const caCertificate = z.string().refine(isCaCertificate, "expected the PEM of one CA certificate");

/** Whether `pem` is one CA certificate. Node reads the first certificate of a text and ignores the rest. */
function isCaCertificate(pem: string): boolean {
  if (pem.split("-----BEGIN").length !== 2) return false;
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false; // not a certificate at all
  }
}
