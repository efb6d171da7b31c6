/** What the compiler refuses. An unused `@ts-expect-error` does not compile: `tsc -b test` is the test, and this file's run a witness. */
import { expect, it } from "vitest";
import { AppraisedAttestation, appraise } from "../../shared/attestation/appraise.js";
import type { UnverifiedAttestation } from "../../shared/attestation/document.js";
import type { AppraisalPolicy } from "../../shared/attestation/policy.js";
import { VerifiedAttestation, verifyAttestation } from "../../shared/attestation/verify.js";

declare const unverified: UnverifiedAttestation;
declare const verified: VerifiedAttestation;
declare const policy: AppraisalPolicy;
declare const key: CryptoKey;

/** Never run. */
function refusedByTheCompiler(): void {
  // @ts-expect-error verification is the only way from unverified to appraised
  appraise(unverified, policy);
  // @ts-expect-error an object of the same public shape is not a VerifiedAttestation
  appraise({ ...verified }, policy);
  // @ts-expect-error only verifyAttestation makes one
  new VerifiedAttestation();
  // @ts-expect-error only appraise makes one
  new AppraisedAttestation();
  // @ts-expect-error trustAnchor is required
  void verifyAttestation(new Uint8Array(), { now: new Date() });
  // @ts-expect-error now is required
  void verifyAttestation(new Uint8Array(), { trustAnchor: { name: "", sha256: "" } });
  // @ts-expect-error no alternative of PCRs at all
  const pcrs: AppraisalPolicy["pcrs"] = [];
  const { nonce: _, ...withoutNonce } = policy;
  // @ts-expect-error every dimension is stated
  const incomplete: AppraisalPolicy = withoutNonce;
  // @ts-expect-error unused needs a reason
  const unreasoned: AppraisalPolicy["nonce"] = { kind: "unused" };
  // @ts-expect-error a time window needs its skew
  const skewless: AppraisalPolicy["freshness"] = { kind: "within", seconds: 300 };
  // @ts-expect-error CryptoKey has not become `any`
  const number: number = key;
  void [pcrs, incomplete, unreasoned, skewless, number];
}

it("compiles, so that each of the lines above is refused", () => {
  expect(refusedByTheCompiler).toBeTypeOf("function");
});
