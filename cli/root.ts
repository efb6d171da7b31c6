/** The root that a command trusts: AWS's, or a certificate in a file. */
import type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
import { AWS_NITRO_ENCLAVES_ROOT_G1, trustAnchorOf } from "../shared/attestation/trust-anchor.js";
import { ServiceError } from "../shared/errors.js";
import { decodePem, isPem } from "../shared/pem.js";
import { parseCertificate } from "../shared/x509.js";
import type { Io } from "./command.js";
import { asText, readInput } from "./input.js";

const MAX_ROOT_FILE_BYTES = 16 * 1024;

/** The trust anchor that `--root` means. */
export async function parseRoot(root: string, io: Io): Promise<TrustAnchor> {
  if (root === "aws") return AWS_NITRO_ENCLAVES_ROOT_G1;
  const bytes = await readInput(root, io, MAX_ROOT_FILE_BYTES);
  const text = asText(bytes);
  const der = text !== undefined && isPem(text) ? decodePem(text, "CERTIFICATE") : bytes;
  if (der === undefined) throw new ServiceError("ERR_TRUST_ANCHOR", `${root} is not one certificate in PEM`);
  try {
    parseCertificate(der);
  } catch (cause) {
    throw new ServiceError("ERR_TRUST_ANCHOR", `${root} is not a certificate of the Nitro profile, in PEM or DER`, {
      cause,
    });
  }
  return trustAnchorOf(der, `the root in ${root}`);
}
