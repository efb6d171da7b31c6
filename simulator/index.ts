/** `nitro-decrypt/simulator`: the Nitro platform and AWS KMS under another root, for tests and for trying things out. */
export type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
export type { Nsm } from "../shared/nsm.js";
export type { Clock } from "./clock.js";
export type { AuditLog } from "./cloudtrail/audit-log.js";
export type { AuditRecord } from "./cloudtrail/records.js";
export type { KmsOptions, SimulatedKms } from "./endpoint/server.js";
export { startKms } from "./endpoint/server.js";
export type { AccessKey, NewRole, NewUser, SessionCredentials } from "./iam/principals.js";
export { ADMINISTRATOR_POLICY, Principals } from "./iam/principals.js";
export type {
  EnclaveImage,
  ImageSources,
  LaunchOptions,
  RamdiskEntries,
  RamdiskEntry,
  RamdiskSource,
} from "./image.js";
export { bootPcrs, readImage } from "./image.js";
export type { ImdsOptions, SimulatedImds } from "./imds.js";
export { startImds } from "./imds.js";
export { connectSimulatedNsm } from "./nsm/client.js";
export type { NitroTpmClaims, NitroTpmOptions, SimulatedNitroTpm } from "./nsm/nitro-tpm.js";
export { startNitroTpm } from "./nsm/nitro-tpm.js";
export type { NsmServer } from "./nsm/server.js";
export { serveNsm } from "./nsm/server.js";
export type { BootOptions } from "./nsm/simulated-nsm.js";
export { bootSimulatedNsm, SimulatedNsm } from "./nsm/simulated-nsm.js";
export type { NitroPki, NitroPkiOptions, SimulatedRoot } from "./pki/nitro-pki.js";
export { createNitroPki, createSimulatedRoot } from "./pki/nitro-pki.js";
export { exportRoot, importRoot, readRootFile, writeRootFile } from "./pki/root-file.js";
export type { IssuedCredentials } from "./role-credentials.js";
export type { BootedEnclave, Simulation, SimulationOptions } from "./simulation.js";
export { exampleImage, startSimulation } from "./simulation.js";
export type {
  IssuerFragment,
  IssuerJwk,
  TokenAlgorithm,
  TokenIssuer,
  TokenIssuerOptions,
  TokenRequest,
} from "./token-issuer.js";
export { createTokenIssuer } from "./token-issuer.js";
export type { World } from "./world/world.js";
export { readWorld } from "./world/world.js";
export { WorldError } from "./world/world-error.js";
