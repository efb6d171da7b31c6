/**
 * Wires an enclave together, in the order in which it must start: configuration with its policies, its measurement, the
 * NSM and the time, the keys, and only then the servers.
 */
import type { EndpointKeys } from "../shared/attestation/endpoint-keys.js";
import type { Nsm } from "../shared/nsm.js";
import { AttestedTime } from "./attested-time.js";
import { Access } from "./authorization/access.js";
import { CONFIGURATION_PCR, measureConfiguration } from "./boot.js";
import { parentChannel } from "./channels/parent-channel.js";
import { RequestLog } from "./channels/request-log.js";
import { SealedChannel } from "./channels/sealed.js";
import { SealedKeys } from "./channels/sealed-keys.js";
import type { ServedChannel } from "./channels/server.js";
import { EnclaveServer } from "./channels/server.js";
import type { Clock } from "./clock.js";
import { systemClock } from "./clock.js";
import type { Configuration } from "./configuration.js";
import { parseConfiguration } from "./configuration.js";
import { Gate } from "./gate.js";
import { healthReport, KmsHealth, Readiness } from "./health.js";
import { CredentialsCache } from "./kms/credentials.js";
import type { KmsClients } from "./kms/kms-clients.js";
import { createKmsClients } from "./kms/kms-clients.js";
import { MessageOpener } from "./kms/messages.js";
import { RecipientKeys } from "./kms/recipient.js";
import { ServicesClient } from "./kms/services.js";
import type { Logger } from "./log.js";
import { silentLogger } from "./log.js";
import { NsmClient } from "./nsm.js";
import { Decryption } from "./operations/decryption.js";
import type { EnclaveFunction } from "./operations/functions.js";
import { functionOperations } from "./operations/functions.js";
import { Guard } from "./operations/guard.js";
import { createOperations } from "./operations/operations.js";
import { Router } from "./operations/router.js";
import { ReplayStore } from "./replay-store.js";
