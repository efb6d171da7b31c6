/**
 * What makes two enclaves ones of the same fleet: its name in the measured configuration, and all registers that say what
 * an enclave is. PCR0, 1, 2 (image), 3 (role), 8 (signer) and 16 (configuration) are demanded to be the same; PCR4 names
 * the instance and may differ. So a client is never served by an enclave that its policy would have refused, whichever of
 * these registers the policy names.
 *
 * The registers and the root of the certificates are read out of a document of the enclave's own NSM, which is believed for
 * where it comes from: the device is the platform's, and no parent answers in its place.
 */
import type { UnverifiedAttestation } from "../../shared/attestation/document.js";
import { parseAttestationDocument } from "../../shared/attestation/document.js";
import { zeroPcr } from "../../shared/attestation/pcr.js";
import type { TrustAnchor } from "../../shared/attestation/trust-anchor.js";
import { trustAnchorOf } from "../../shared/attestation/trust-anchor.js";
import { concatBytes, digest, toHex } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { NsmClient } from "../nsm.js";

const FLEET_PCRS = [0, 1, 2, 3, 8, 16] as const;

export interface FleetIdentity {
  readonly fleet: string;
  /** `measurementOf` this enclave's own document, in hexadecimal. */
  readonly measurement: string;
  /** The root above this enclave's NSM. */
  readonly anchor: TrustAnchor;
}

/** The identity of this enclave. PCR16 must hold the configuration. @throws ServiceError as `NsmClient.attest` and the parser of documents. */
export async function fleetIdentityOf(nsm: Pick<NsmClient, "attest">, fleet: string): Promise<FleetIdentity> {
  const own = parseAttestationDocument(await nsm.attest({ nonce: null, publicKey: null, userData: null }, "kms"));
  const [root] = own.caBundle;
  if (root === undefined) throw new ServiceError("ERR_NSM", "expected a document with its root, there is none");
  const anchor = await trustAnchorOf(root, "root of this enclave's NSM");
  return { fleet, measurement: await measurementOf(own), anchor };
}

/** SHA-256 over the registers that a fleet has in common, in hexadecimal. A register that nothing was put into is zero. */
export async function measurementOf({ pcrs }: Pick<UnverifiedAttestation, "pcrs">): Promise<string> {
  const registers = FLEET_PCRS.map((index) => concatBytes(Uint8Array.of(index), pcrs.get(index) ?? zeroPcr()));
  return toHex(await digest("SHA-256", concatBytes(...registers)));
}
