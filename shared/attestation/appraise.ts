/**
 * Appraisal (RFC 9334 §8): is this genuine enclave the one that the relying party wants, now, and for this purpose?
 *
 * Every check compares a verified document with a policy that states every dimension (policy.ts). Registers match as whole
 * alternatives: PCR0 of one release with PCR1 of another is neither.
 */
import { equalBytes } from "../bytes.js";
import { ServiceError } from "../errors.js";
import { assertRsa2048Spki } from "../rsa-public-key.js";
import type { AppraisalPolicy, CheckedPolicy } from "./policy.js";
import { checkPolicy } from "./policy.js";
import { VerifiedAttestation } from "./verify.js";

/** Known to this module alone, as in verify.ts. */
const MINT = Symbol("appraise.ts");

/** A genuine document that satisfies a policy. Only `appraise` makes one. */
export class AppraisedAttestation {
  readonly #appraised = true;
  readonly attestation: VerifiedAttestation;
  /** Which of the policy's alternatives matched, counted from 0. */
  readonly matchedAlternative: number;

  private constructor(mint: symbol, attestation: VerifiedAttestation, matchedAlternative: number) {
    if (mint !== MINT) throw new TypeError("an AppraisedAttestation comes from appraise");
    this.attestation = attestation;
    this.matchedAlternative = matchedAlternative;
    Object.freeze(this);
  }

  /** As `appraise`. */
  static appraise(verified: VerifiedAttestation, policy: AppraisalPolicy): AppraisedAttestation {
    VerifiedAttestation.assert(verified);
    const checked = checkPolicy(policy);
    assertNotDebug(verified, checked);
    const matched = matchPcrs(verified, checked);
    assertNonce(verified, checked);
    assertFresh(verified, checked);
    assertUserData(verified, checked);
    assertPublicKey(verified, checked);
    return new AppraisedAttestation(MINT, verified, matched);
  }

  /** Throws a TypeError unless `value` was made by `appraise`: for callers without a compiler. */
  static assert(value: AppraisedAttestation): void {
    if (typeof value !== "object" || value === null || !(#appraised in value)) {
      throw new TypeError("expected what appraise returned");
    }
  }
}

/**
 * Compares a verified document with a policy. On return it satisfies every dimension that the policy does not call unused.
 * Freshness is a statement about the moment of verification: what is kept for later grows old all the same.
 *
 * @throws ServiceError, the first of: ERR_DEBUG_ENCLAVE, ERR_PCR_MISMATCH, ERR_NONCE_MISMATCH, ERR_STALE,
 *   ERR_USER_DATA_MISMATCH, ERR_PUBLIC_KEY.
 * @throws TypeError when `verified` does not come from `verifyAttestation`, or the policy is not complete.
 */
export function appraise(verified: VerifiedAttestation, policy: AppraisalPolicy): AppraisedAttestation {
  return AppraisedAttestation.appraise(verified, policy);
}

// AV-11 PCR0 of zeros is debug mode. Not "all PCRs zero": PCR3 and PCR4 are set in debug mode too
function assertNotDebug(verified: VerifiedAttestation, { debug }: CheckedPolicy): void {
  if (verified.debug && debug !== "dangerouslyAllow") {
    throw new ServiceError("ERR_DEBUG_ENCLAVE", "expected an enclave in production mode, got one in debug mode");
  }
}

// AV-12 one whole alternative matches
function matchPcrs({ pcrs }: VerifiedAttestation, { alternatives }: CheckedPolicy): number {
  const differing = alternatives.map((reference) =>
    [...reference].filter(([index, value]) => !equalBytes(value, pcrs.get(index) ?? new Uint8Array())),
  );
  const matched = differing.findIndex((pcrs) => pcrs.length === 0);
  if (matched >= 0) return matched;
  const described = differing.map((pcrs) => pcrs.map(([index]) => `PCR${index}`).join(", ")).join("; or ");
  throw new ServiceError("ERR_PCR_MISMATCH", `differing from the reference values: ${described}`);
}

// AV-13 the relying party's own nonce
function assertNonce({ nonce }: VerifiedAttestation, { nonce: rule }: CheckedPolicy): void {
  if (rule.kind === "unused") return;
  if (nonce === null || !equalBytes(nonce, rule.value)) {
    throw new ServiceError("ERR_NONCE_MISMATCH", `nonce is ${nonce === null ? "absent" : "not the one that was sent"}`);
  }
}

// AV-14 neither too old nor from the future
function assertFresh({ timestampMs, verifiedAt }: VerifiedAttestation, { freshness }: CheckedPolicy): void {
  if (freshness.kind === "unused") return;
  const ageSeconds = (verifiedAt.getTime() - timestampMs) / 1000;
  if (ageSeconds < -freshness.skewSeconds) {
    throw new ServiceError("ERR_STALE", `document is ${-ageSeconds} s from the future`);
  }
  if (ageSeconds > freshness.seconds) {
    throw new ServiceError("ERR_STALE", `document is ${ageSeconds} s old, expected at most ${freshness.seconds} s`);
  }
}

// AV-15 what the enclave bound to the document
function assertUserData({ userData }: VerifiedAttestation, { userData: rule }: CheckedPolicy): void {
  if (rule.kind === "unused") return;
  const matches = rule.kind === "absent" ? userData === null : userData !== null && equalBytes(userData, rule.value);
  if (!matches) throw new ServiceError("ERR_USER_DATA_MISMATCH", `user_data does not satisfy "${rule.kind}"`);
}

// AV-16 the key, or at least its form
function assertPublicKey({ publicKey }: VerifiedAttestation, { publicKey: rule }: CheckedPolicy): void {
  if (rule.kind === "unused") return;
  if (rule.kind === "rsa-2048") {
    if (publicKey === null) throw new ServiceError("ERR_PUBLIC_KEY", "public_key is absent");
    assertRsa2048Spki(publicKey);
    return;
  }
  const matches = rule.kind === "absent" ? publicKey === null : publicKey !== null && equalBytes(publicKey, rule.value);
  if (!matches) throw new ServiceError("ERR_PUBLIC_KEY", `public_key does not satisfy "${rule.kind}"`);
}
