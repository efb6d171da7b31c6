/**
 * Wires an enclave together, in the order in which it must start: configuration, its measurement, the NSM, the recipient
 * key, and only then the server.
 */
import type { Nsm } from "../shared/nsm.js";
import { CONFIGURATION_PCR, measureConfiguration } from "./boot.js";
import { EnclaveServer } from "./channels/server.js";
import type { Clock } from "./clock.js";
import { systemClock } from "./clock.js";
import type { Configuration } from "./configuration.js";
import { parseConfiguration } from "./configuration.js";
import { healthReport, KmsHealth, Readiness } from "./health.js";
import { CredentialsCache } from "./kms/credentials.js";
import { createKmsClients } from "./kms/kms-clients.js";
import { MessageOpener } from "./kms/messages.js";
import { RecipientKeys } from "./kms/recipient.js";
import { ServicesClient } from "./kms/services.js";
import type { Logger } from "./log.js";
import { silentLogger } from "./log.js";
import { NsmClient } from "./nsm.js";
import { Operations } from "./operations/operations.js";
import { Router } from "./operations/router.js";

/** Where the enclave listens, and where it finds its parent: addresses as in shared/address.ts. */
export interface EnclaveAddresses {
  /** Where the enclave's HTTP operations are served. */
  readonly listen: string;
  /** The parent's byte tunnel to KMS (or AWS's vsock-proxy). */
  readonly tunnel: string;
  /** The parent's services: credentials, and the gateway where it is used. */
  readonly services: string;
}

export interface EnclaveOptions {
  /** The exact bytes of the configuration, as they are measured. */
  readonly configuration: Uint8Array;
  readonly nsm: Nsm;
  readonly addresses: EnclaveAddresses;
  /** Where to log; nowhere unless given. */
  readonly log?: Logger;
  readonly clock?: Clock;
}

/** A running enclave. */
export interface Enclave {
  /** PCR16, in hexadecimal: the configuration's measurement. */
  readonly configurationPcr: string;
  /** Where it listens. */
  readonly address: string;
  /** Stops serving, waits a while for requests under way, and lets go of keys and credentials. */
  close(): Promise<void>;
}

/**
 * Starts an enclave. On return its configuration is measured and locked into PCR16, and it serves.
 * It has not called KMS yet: `GET /readyz` does.
 * @throws ServiceError ERR_CONFIGURATION, ERR_NSM (also when PCR16 was used before), ERR_ADDRESS, ERR_TIMEOUT.
 */
export async function createEnclave(options: EnclaveOptions): Promise<Enclave> {
  const { addresses, clock = systemClock, log = silentLogger } = options;
  const configuration = parseConfiguration(options.configuration);
  const nsm = new NsmClient(options.nsm, clock);
  const configurationPcr = await measureConfiguration(nsm, options.configuration);
  const { moduleId } = await nsm.describe();
  log.info({ moduleId, configurationPcr }, `measured the configuration into PCR${CONFIGURATION_PCR}`);
  const recipient = new RecipientKeys({ keys: configuration.keys, nsm, clock, limits: configuration.recipient });
  await recipient.prepare();
  const services = new ServicesClient(addresses.services);
  const credentials = new CredentialsCache({ services, clock, log });
  const kms = createKmsClients({ configuration, recipient, credentials, services, tunnel: addresses.tunnel });
  const router = createRouter({ configuration, nsm, recipient, credentials, kms, clock });
  const server = createServer(router, { configuration, clock, log });
  const release = (): void => {
    kms.close();
    credentials.close();
    services.close();
  };
  try {
    await server.listen(addresses.listen);
  } catch (error) {
    release();
    throw error;
  }
  log.info({ address: addresses.listen }, "the enclave serves");
  const close = async (): Promise<void> => {
    await server.close();
    release();
  };
  return { configurationPcr, address: addresses.listen, close };
}

interface Parts {
  readonly configuration: Configuration;
  readonly nsm: NsmClient;
  readonly recipient: RecipientKeys;
  readonly credentials: CredentialsCache;
  readonly kms: ReturnType<typeof createKmsClients>;
  readonly clock: Clock;
}

function createRouter({ configuration, nsm, recipient, credentials, kms, clock }: Parts): Router {
  const health = new KmsHealth(clock);
  const { maxEncryptedDataKeys } = configuration.limits;
  const messages = new MessageOpener({ client: kms.messages, keys: configuration.keys, maxEncryptedDataKeys });
  const needsCredentials = configuration.kms.transport === "tunnel";
  const sources = { nsm, kms: health, recipient, credentials: needsCredentials ? credentials : undefined };
  return new Router({
    channels: configuration.channels,
    nsm,
    operations: new Operations({ kms, messages, health }),
    readiness: new Readiness({ probe: kms.probe, health, clock }),
    health: () => healthReport(sources),
  });
}

function createServer(
  router: Router,
  { configuration, clock, log }: { configuration: Configuration; clock: Clock; log: Logger },
): EnclaveServer {
  const { maxConcurrentRequests, requestDeadlineSeconds } = configuration.limits;
  return new EnclaveServer({
    router,
    channel: "parent",
    maxConcurrentRequests,
    requestDeadlineMs: requestDeadlineSeconds * 1_000,
    clock,
    log,
  });
}
