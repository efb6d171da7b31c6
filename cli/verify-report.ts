/** What `nitro-decrypt verify` says about a document that held: what is known now, and what is still open. */
import type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
import type { VerifiedAttestation } from "../shared/attestation/verify.js";
import { certificateLines, certificatesToJson, claimLines, fieldsToJson, pcrLines } from "./attestation-report.js";
import { formatSeconds, layOut } from "./report.js";

/** What was asked for on the command line. */
export interface Demands {
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  readonly nonce: Uint8Array | undefined;
  readonly maxAgeSeconds: number | undefined;
  readonly allowDebug: boolean;
}

/** A document that is genuine and satisfied the demands. */
export interface Verification {
  readonly verified: VerifiedAttestation;
  readonly trustAnchor: TrustAnchor;
  readonly demands: Demands;
}

const ageSecondsOf = ({ verifiedAt, timestampMs }: VerifiedAttestation): number =>
  (verifiedAt.getTime() - timestampMs) / 1000;

export function describeVerification({ verified, trustAnchor, demands }: Verification): string {
  const age = ageSecondsOf(verified);
  const relative = age < 0 ? `${formatSeconds(-age)} after` : `${formatSeconds(age)} before`;
  const facts = layOut([
    ["genuine", `signed by the Nitro Security Module, under ${trustAnchor.name}`],
    ["verified as of", verified.verifiedAt.toISOString()],
    ["timestamp", `${new Date(verified.timestampMs).toISOString()} (${relative} that)`],
    ["module", verified.moduleId],
    ["instance", verified.instanceId],
    ["region", verified.region],
    ["debug mode", verified.debug ? "YES" : "no"],
    ...pcrLines(verified.pcrs),
    ...certificateLines(verified.rootToLeaf),
    ...claimLines(verified),
    ["appraised", appraisedOf(demands).join(", ") || "nothing"],
  ]);
  return [facts, ...warningsOf(verified, demands).map((warning) => `warning: ${warning}`)].join("\n");
}

export function verificationToJson({ verified, trustAnchor, demands }: Verification) {
  return {
    genuine: true,
    trustAnchor,
    verifiedAt: verified.verifiedAt.toISOString(),
    timestamp: new Date(verified.timestampMs).toISOString(),
    ageSeconds: ageSecondsOf(verified),
    moduleId: verified.moduleId,
    instanceId: verified.instanceId,
    region: verified.region,
    debug: verified.debug,
    ...fieldsToJson(verified),
    certificates: certificatesToJson(verified.rootToLeaf),
    appraised: appraisedOf(demands),
    warnings: warningsOf(verified, demands),
  };
}

/** What was compared with something that the caller gave. */
function appraisedOf({ pcrs, nonce, maxAgeSeconds }: Demands): string[] {
  return [
    ...[...pcrs.keys()].map((index) => `PCR${index}`),
    ...(nonce === undefined ? [] : ["nonce"]),
    ...(maxAgeSeconds === undefined ? [] : ["age"]),
  ];
}

function warningsOf({ debug }: VerifiedAttestation, demands: Demands): string[] {
  const warnings = [...codeWarnings(demands.pcrs)];
  if (debug)
    warnings.push(
      "the enclave runs in debug mode: its operator sees its console, and PCR0, 1, 2 and 8 are zero whatever it runs",
    );
  return warnings;
}

function codeWarnings(pcrs: Demands["pcrs"]): string[] {
  if (pcrs.size === 0) {
    return [
      "the document is genuine but NOT APPRAISED: it may be of anybody's enclave. " +
        "Give --pcr0, --pcr1 and --pcr2 of the image that you mean",
    ];
  }
  if (pcrs.has(0) && pcrs.has(1) && pcrs.has(2)) return [];
  if (pcrs.has(0)) {
    return [
      "PCR0 alone does not pin where kernel, command line and ramdisks begin and end: an image with its bytes moved " +
        "from one to the next has the same PCR0. Give --pcr1 and --pcr2 too",
    ];
  }
  return ["none of the given PCRs pins the whole image. Give --pcr0, --pcr1 and --pcr2 to pin the enclave's code"];
}
