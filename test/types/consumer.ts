/** Compiled against the packed package, as a consumer with strict options would: types are there, and are not `any`. */
import type { AppraisalPolicy, Enclave, ErrorCode, TrustAnchor, VerifiedAttestation } from "nitro-decrypt";
import { AWS_NITRO_ENCLAVES_ROOT_G1, appraise, connectEnclave, ServiceError, verifyAttestation } from "nitro-decrypt";
import { attestKms, createEnclave, openCiphertextForRecipient } from "nitro-decrypt/enclave";
import { createParent } from "nitro-decrypt/parent";
import type { Simulation } from "nitro-decrypt/simulator";
import { startSimulation } from "nitro-decrypt/simulator";

type IsAny<T> = 0 extends 1 & T ? true : false;
/** Fails to compile when `T` has become any. */
export type NotAny<T> = IsAny<T> extends true ? never : true;

export const typesAreThere: readonly [
  NotAny<typeof verifyAttestation>,
  NotAny<VerifiedAttestation>,
  NotAny<Enclave>,
  NotAny<Awaited<ReturnType<Enclave["decrypt"]>>>,
  NotAny<Simulation>,
  NotAny<Simulation["kms"]>,
  NotAny<Parameters<typeof attestKms>[0]>,
  NotAny<Parameters<typeof openCiphertextForRecipient>[1]>,
  NotAny<Parameters<typeof createEnclave>[0]>,
  NotAny<Parameters<typeof createParent>[0]>,
  NotAny<Parameters<typeof connectEnclave>[1]>,
] = [true, true, true, true, true, true, true, true, true, true, true];

export const withoutTime = (document: Uint8Array) =>
  // @ts-expect-error now is required
  verifyAttestation(document, { trustAnchor: AWS_NITRO_ENCLAVES_ROOT_G1 });
// @ts-expect-error the trust anchor is required
export const withoutAnchor = (document: Uint8Array) => verifyAttestation(document, { now: new Date() });

const policy: AppraisalPolicy = {
  pcrs: [{ 0: "00" }],
  nonce: { kind: "unused", because: "an example" },
  freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
  debug: "reject",
  userData: { kind: "absent" },
  publicKey: { kind: "rsa-2048" },
};
export const appraised = (verified: VerifiedAttestation) => appraise(verified, policy);

// @ts-expect-error an empty list of reference values checks nothing
export const noReference: AppraisalPolicy = { ...policy, pcrs: [] };
const { debug, ...incomplete } = policy;
// @ts-expect-error every dimension is stated
export const missingDimension: AppraisalPolicy = incomplete;
export const dimension: string = debug;

// A verified value cannot be made from a look-alike.
type Fields = { [Name in keyof VerifiedAttestation]: VerifiedAttestation[Name] };
// @ts-expect-error the class has a private part that only verifyAttestation gives
export const forged = (fields: Fields): VerifiedAttestation => fields;

export const anchor: TrustAnchor = AWS_NITRO_ENCLAVES_ROOT_G1;
export const codeOf = (error: unknown): ErrorCode | undefined =>
  error instanceof ServiceError ? error.code : undefined;
export const platform = (): Promise<Simulation> => startSimulation();
export { attestKms, connectEnclave, createEnclave, createParent, openCiphertextForRecipient };
