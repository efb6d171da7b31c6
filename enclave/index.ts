/**
 * `nitro-decrypt/enclave`: what runs inside the enclave. Everything reachable from here is measured; test/golden/enclave.txt
 * lists it.
 */
export type { ErrorCode } from "../shared/errors.js";
export { ServiceError } from "../shared/errors.js";
export type { Nsm } from "../shared/nsm.js";
export { attestKms } from "./attest-kms.js";
export { openCiphertextForRecipient } from "./ciphertext-for-recipient.js";
export type { Clock } from "./clock.js";
export type { RecipientOptions } from "./create-recipient.js";
export { createRecipient } from "./create-recipient.js";
export type { Enclave, EnclaveAddresses, EnclaveOptions } from "./enclave.js";
export { createEnclave } from "./enclave.js";
export type { LogFields, Logger } from "./log.js";
export type { PinnedKey } from "./pinned-keys.js";
export { PinnedKeys } from "./pinned-keys.js";
export type { Recipient, RecipientLease, RecipientLimits } from "./recipient.js";
