/**
 * From an answer of `GET /attestation` to keys that are known to be the right enclave's: the document is verified under
 * the caller's trust anchor and appraised against the caller's policy, its nonce is the one that was sent for it, and its
 * `user_data` binds the keys that came beside it (pitfalls 9, 13). The keys are believed on return and not before.
 */
import type { AppraisedAttestation } from "../shared/attestation/appraise.js";
import { appraise } from "../shared/attestation/appraise.js";
import type { EndpointKeys } from "../shared/attestation/endpoint-keys.js";
import { endpointKeysUserData } from "../shared/attestation/endpoint-keys.js";
import type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
import { verifyAttestation } from "../shared/attestation/verify.js";
import { toBase64Url } from "../shared/bytes.js";
import type { CertificateCache } from "../shared/certificate-cache.js";
import type { AttestationResponse } from "../shared/wire.js";
import { bytesOf } from "../shared/wire.js";
import type { CheckedEnclavePolicy } from "./policy.js";

export interface Appraiser {
  readonly trustAnchor: TrustAnchor;
  readonly policy: CheckedEnclavePolicy;
  readonly clock: () => Date;
  readonly cache?: CertificateCache | undefined;
}

/** An enclave that satisfied the policy, and how to speak to it. */
export interface AttestedKeys extends EndpointKeys {
  readonly attestation: AppraisedAttestation;
}

const NONCE_BYTES = 32;
/** A document of 16 KiB and keys of 5 in base64, in JSON. */
export const MAX_ATTESTATION_BYTES = 32 * 1024;

/**
 * Asks, through `fetchDocument`, for a document with a fresh nonce, and appraises it. The request for it carries the nonce
 * and nothing else.
 * @throws ServiceError what `fetchDocument`, `verifyAttestation` and `appraise` throw; ERR_USER_DATA_MISMATCH when the keys
 *   are not those that the document binds.
 */
export async function attestKeys(
  appraiser: Appraiser,
  fetchDocument: (path: string) => Promise<AttestationResponse>,
): Promise<AttestedKeys> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const answer = await fetchDocument(`attestation?nonce=${toBase64Url(nonce)}`);
  const keys = {
    keyConfigurations: bytesOf(answer.keyConfigurations),
    tlsKey: answer.tlsKey === undefined ? undefined : bytesOf(answer.tlsKey),
  };
  const userData = await endpointKeysUserData(keys);
  const { trustAnchor, clock, cache, policy } = appraiser;
  const options = { trustAnchor, now: clock(), ...(cache ? { cache } : {}) };
  const verified = await verifyAttestation(bytesOf(answer.document), options);
  return { ...keys, attestation: appraise(verified, policy.with({ nonce, userData })) };
}
