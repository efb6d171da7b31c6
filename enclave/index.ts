/**
 * `nitro-decrypt/enclave`: what runs inside the enclave. Everything reachable from here is measured; test/golden/enclave.txt
 * lists it.
 */
export type { ErrorCode } from "../shared/errors.js";
export { ServiceError } from "../shared/errors.js";
export type { Nsm } from "../shared/nsm.js";
export type { Principal } from "./authorization/principal.js";
export type { Clock } from "./clock.js";
export type { Enclave, EnclaveAddresses, EnclaveOptions } from "./enclave.js";
export { createEnclave } from "./enclave.js";
export { attestKms } from "./kms/attest-kms.js";
export { openCiphertextForRecipient } from "./kms/ciphertext-for-recipient.js";
export type { RecipientOptions } from "./kms/create-recipient.js";
export { createRecipient } from "./kms/create-recipient.js";
export type { Discovery } from "./kms/discovery.js";
export type { PinnedKey } from "./kms/pinned-keys.js";
export { PinnedKeys } from "./kms/pinned-keys.js";
export type { Recipient, RecipientLease, RecipientLimits } from "./kms/recipient.js";
export type { LogFields, Logger } from "./log.js";
export type { Machine, MachineState } from "./machine/machine.js";
export type { NsmDevice, NsmDeviceOptions } from "./machine/nsm-device.js";
export { NSM_DEVICE, openNsmDevice } from "./machine/nsm-device.js";
export type { RandomnessState } from "./machine/randomness.js";
export type { MadeMessage, OpenedMessage } from "./messages/messages.js";
export type { NewMessage } from "./operations/encryption.js";
export type {
  EnclaveFunction,
  FunctionCall,
  FunctionDefinition,
  FunctionMessages,
  Schema,
} from "./operations/functions.js";
export { defineFunction } from "./operations/functions.js";
export type { RunOptions } from "./program/run-enclave.js";
export { ENCLAVE_ADDRESSES, runEnclave } from "./program/run-enclave.js";
