/**
 * What a client demands of the enclave that it talks to: an appraisal policy without the nonce, which `connectEnclave`
 * makes itself, and with PCR 0, 1 and 2 in every alternative. PCR0 alone is not the image: bytes that move between its
 * sections keep PCR0 (pitfall 7); and PCR3, 4 and 8 say where an enclave runs and who signed it, not what it is (pitfall 8).
 */
import type { AppraisalPolicy, ReferencePcrs } from "../shared/attestation/policy.js";
import { checkPolicy } from "../shared/attestation/policy.js";

/** Reference values that fix the image. Add PCR16 to fix its configuration as well. */
export type EnclavePcrs = ReferencePcrs & Readonly<Record<(typeof IMAGE_PCRS)[number], string>>;

/** Every dimension is required; see `AppraisalPolicy`. */
export interface EnclavePolicy extends Omit<AppraisalPolicy, "nonce" | "pcrs"> {
  /** Alternatives, of which one must match in all its registers. Not empty. */
  readonly pcrs: readonly [EnclavePcrs, ...EnclavePcrs[]];
}

const IMAGE_PCRS = [0, 1, 2] as const;

/**
 * The appraisal policy that `policy` and the nonce make. A copy: what the caller changes later has no effect on it.
 * @throws TypeError when a dimension is missing or wrong, or a set of reference values does not name PCR 0, 1 and 2.
 */
export function withNonce(policy: EnclavePolicy, nonce: Uint8Array): AppraisalPolicy {
  if (typeof policy !== "object" || policy === null) throw new TypeError("policy is required");
  if ("nonce" in policy) throw new TypeError("policy has no nonce: connectEnclave makes a fresh one");
  const whole = structuredClone({ ...policy, nonce: { kind: "equals" as const, value: nonce } });
  for (const reference of checkPolicy(whole).alternatives) {
    for (const index of IMAGE_PCRS) {
      if (!reference.has(index))
        throw new TypeError(`each set of reference values names PCR 0, 1 and 2: no PCR${index}`);
    }
  }
  return whole;
}
