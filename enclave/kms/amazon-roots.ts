/**
 * The roots under which AWS's own service endpoints chain: Amazon Root CA 1-4 and Starfield Services Root Certificate
 * Authority - G2 (Amazon Trust Services, https://www.amazontrust.com/repository/). They are taken from the certificates
 * that Node.js carries, and only those whose SHA-256 is the one below: no other authority can vouch for KMS here.
 */
import { createHash, X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";
import { ServiceError } from "../../shared/errors.js";

/** SHA-256 of each root's DER, in hexadecimal. */
export const AMAZON_ROOT_SHA256: Readonly<Record<string, string>> = {
  "Amazon Root CA 1": "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
  "Amazon Root CA 2": "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
  "Amazon Root CA 3": "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
  "Amazon Root CA 4": "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
  "Starfield Services Root Certificate Authority - G2":
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
};

/**
 * The pinned roots that `candidates` (PEM) holds.
 * @throws ServiceError ERR_CONFIGURATION when there is none: no connection to KMS could be trusted.
 */
export function amazonRoots(candidates: readonly string[] = rootCertificates): string[] {
  const pinned = new Set(Object.values(AMAZON_ROOT_SHA256));
  const roots = candidates.filter((pem) => pinned.has(sha256Of(new X509Certificate(pem))));
  if (roots.length === 0) {
    throw new ServiceError("ERR_CONFIGURATION", "kms.roots: this Node.js carries none of the Amazon roots");
  }
  return roots;
}

const sha256Of = (certificate: X509Certificate): string => createHash("sha256").update(certificate.raw).digest("hex");
