/** nitro-decrypt: verify attestation documents, appraise them, and use an enclave that has passed. Browser-safe. */
export type { AppraisedAttestation } from "../shared/attestation/appraise.js";
export { appraise } from "../shared/attestation/appraise.js";
export { pcr3OfRole, pcr4OfInstance, pcr16OfConfiguration } from "../shared/attestation/pcr.js";
export type { Absent, AppraisalPolicy, EqualsBytes, ReferencePcrs, Unused } from "../shared/attestation/policy.js";
export type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
export {
  AWS_NITRO_ENCLAVES_ROOT_G1,
  trustAnchorFromSha256,
  trustAnchorOf,
} from "../shared/attestation/trust-anchor.js";
export type { CertificateSummary, VerifiedAttestation, VerifyOptions } from "../shared/attestation/verify.js";
export { verifyAttestation } from "../shared/attestation/verify.js";
export { CertificateCache } from "../shared/certificate-cache.js";
export type { ContextExpectations, ContextWarning, ContextWarningCode } from "../shared/context-lint.js";
export { lintEncryptionContext, withoutSignaturePair } from "../shared/context-lint.js";
export type { ErrorCode } from "../shared/errors.js";
export { ERRORS, isErrorCode, ServiceError } from "../shared/errors.js";
export { generateProofKey, thumbprintOf } from "../shared/proof-of-possession.js";
export type { TokenSource } from "./caller.js";
export type { AttestedOptions, ConnectOptions } from "./connect.js";
export { connectEnclave } from "./connect.js";
export type {
  CallOptions,
  DataKeyInput,
  DataKeyOutput,
  DecryptInput,
  DecryptOutput,
  Enclave,
  EncryptionContext,
  EncryptMessageInput,
  FunctionCallOptions,
  FunctionInput,
  MessageInput,
  MessageOutput,
  NewMessageOptions,
  NewMessageOutput,
  ReEncryptMessageInput,
} from "./enclave.js";
export type { EnclavePcrs, EnclavePolicy } from "./policy.js";
