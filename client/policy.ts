/**
 * What a client demands of the enclave that it talks to. `connectEnclave` makes the rest of the appraisal policy itself: the
 * nonce is its own, `user_data` must bind the keys that it is about to seal to, and `public_key` must be absent, as in
 * every document that this package's enclaves make for clients.
 *
 * PCR 0, 1 and 2 stand in every alternative. PCR0 alone is not the image: bytes that move between its sections keep PCR0
 * (pitfall 7); and PCR3, 4 and 8 say where an enclave runs and who signed it, not what it is (pitfall 8). PCR16 is the
 * configuration: which keys, which callers, which policies. The right image with a configuration of the parent's own would
 * obey the parent.
 */
import type { AppraisalPolicy, ReferencePcrs, Unused } from "../shared/attestation/policy.js";
import { checkPolicy } from "../shared/attestation/policy.js";

/** Reference values that fix the image. Add PCR16 to fix its configuration as well. */
export type EnclavePcrs = ReferencePcrs & Readonly<Record<(typeof IMAGE_PCRS)[number], string>>;

/** Every dimension is required; see `AppraisalPolicy`. */
export interface EnclavePolicy extends Pick<AppraisalPolicy, "freshness" | "debug"> {
  /** Alternatives, of which one must match in all its registers. Not empty. */
  readonly pcrs: readonly [EnclavePcrs, ...EnclavePcrs[]];
  /** `pinned`: every alternative names PCR16. Anything else is a choice with its reason. */
  readonly configuration: "pinned" | Unused;
}

const IMAGE_PCRS = [0, 1, 2] as const;
const CONFIGURATION_PCR = 16;
const DIMENSIONS = ["pcrs", "configuration", "freshness", "debug"] as const;

/** What a document made for one request must hold. */
export interface Expected {
  readonly nonce: Uint8Array;
  readonly userData: Uint8Array;
}

/** An `EnclavePolicy` that was checked. A copy: what the caller changes later has no effect on it. */
export class CheckedEnclavePolicy {
  readonly #policy: EnclavePolicy;

  /** @throws TypeError when a dimension is missing, unknown or wrong, or a set of reference values names too few PCRs. */
  constructor(policy: EnclavePolicy) {
    if (typeof policy !== "object" || policy === null) throw new TypeError("policy is required");
    const missing = DIMENSIONS.find((name) => !Object.hasOwn(policy, name));
    if (missing !== undefined) throw new TypeError(`policy does not state ${missing}`);
    if (Reflect.ownKeys(policy).length !== DIMENSIONS.length) {
      throw new TypeError(`policy has more than ${DIMENSIONS.join(", ")}: connectEnclave makes the rest itself`);
    }
    this.#policy = structuredClone(policy);
    checkConfiguration(this.#policy.configuration);
    const pinned = this.#policy.configuration === "pinned" ? [...IMAGE_PCRS, CONFIGURATION_PCR] : IMAGE_PCRS;
    const example = { nonce: new Uint8Array(1), userData: new Uint8Array(1) };
    for (const reference of checkPolicy(this.with(example)).alternatives) {
      for (const index of pinned) {
        if (!reference.has(index))
          throw new TypeError(`each set of reference values names PCR ${pinned.join(", ")}: no PCR${index}`);
      }
    }
  }

  /** The whole appraisal policy for one document. */
  with({ nonce, userData }: Expected): AppraisalPolicy {
    const { pcrs, freshness, debug } = this.#policy;
    return {
      ...{ pcrs, freshness, debug },
      nonce: { kind: "equals", value: nonce },
      userData: { kind: "equals", value: userData },
      publicKey: { kind: "absent" },
    };
  }
}

function checkConfiguration(rule: unknown): void {
  if (rule === "pinned") return;
  if (typeof rule !== "object" || rule === null || Reflect.get(rule, "kind") !== "unused") {
    throw new TypeError('configuration is "pinned", or unused with a reason');
  }
  const because: unknown = Reflect.get(rule, "because");
  if (typeof because !== "string" || because.trim() === "") throw new TypeError("configuration.because says why");
}
