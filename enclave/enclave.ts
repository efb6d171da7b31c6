/**
 * Wires an enclave together, in the order in which it must start: configuration and policies, their measurement, the time
 * and the keys, and only then the servers.
 */
import { ServiceError } from "../shared/errors.js";
import type { Nsm } from "../shared/nsm.js";
import { AttestedTime } from "./attested-time.js";
import { CONFIGURATION_PCR, measureConfiguration } from "./boot.js";
import type { ChannelKeys } from "./channels/channels.js";
import { createServers, endpointKeysOf } from "./channels/channels.js";
import { createTlsIdentity } from "./channels/create-tls-identity.js";
import type { Clock } from "./clock.js";
import { systemClock } from "./clock.js";
import type { Configuration } from "./configuration.js";
import { parseConfiguration } from "./configuration.js";
import type { DataKeys } from "./data-keys/create-data-keys.js";
import { createDataKeys } from "./data-keys/create-data-keys.js";
import { kmsCalls } from "./data-keys/kms-calls.js";
import { healthReport, KmsHealth, Readiness } from "./health.js";
import { createKmsClients } from "./kms/create-kms-clients.js";
import { CredentialsCache } from "./kms/credentials.js";
import { RecipientKeys } from "./kms/recipient.js";
import { ServicesClient } from "./kms/services.js";
import type { Logger } from "./log.js";
import { silentLogger } from "./log.js";
import type { Machine } from "./machine/machine.js";
import { watchWallClock } from "./machine/wall-clock.js";
import { Messages } from "./messages/messages.js";
import { NsmClient } from "./nsm.js";
import { wipeCachesOperation } from "./operations/cache-operations.js";
import { createGuard } from "./operations/create-guard.js";
import { Decryption } from "./operations/decryption.js";
import { Encryption } from "./operations/encryption.js";
import type { EnclaveFunction } from "./operations/functions.js";
import { functionOperations } from "./operations/functions.js";
import type { Guard, Operation } from "./operations/guard.js";
import { messageOperations } from "./operations/message-operations.js";
import { createOperations } from "./operations/operations.js";
import { Router } from "./operations/router.js";
import { createSealedKeys } from "./sealing/create-sealed-keys.js";

/** Where the enclave listens, and where it finds its parent: addresses as in shared/address.ts. */
export interface EnclaveAddresses {
  /** Where the enclave's HTTP operations are served: the parent's plain channel, and sealed requests in it. */
  readonly listen: string;
  /** Where attested TLS is served; needed where the configuration has `channels.tls`, and only then. */
  readonly tls?: string;
  /** The parent's byte tunnel to KMS (or AWS's vsock-proxy). */
  readonly tunnel: string;
  /** Its tunnels to KMS in other Regions, by Region; needed where the configuration has `replicaRegions`, for each of them and no others. */
  readonly regionTunnels?: Readonly<Record<string, string>> | undefined;
  /** The parent's services: credentials, and the gateway where it is used. */
  readonly services: string;
}

export interface EnclaveOptions {
  /** The exact bytes of the configuration, as they are measured. */
  readonly configuration: Uint8Array;
  readonly nsm: Nsm;
  readonly addresses: EnclaveAddresses;
  /** The application's own code: see `defineFunction`. */
  readonly functions?: readonly EnclaveFunction[];
  /** Where to log; nowhere unless given. */
  readonly log?: Logger;
  readonly clock?: Clock;
  /** The machine underneath, where the enclave has one to itself: see `runEnclave`. */
  readonly machine?: Machine;
}

/** A running enclave. */
export interface Enclave {
  /** PCR16, in hexadecimal: the configuration's measurement. */
  readonly configurationPcr: string;
  /** Where it listens. */
  readonly address: string;
  /** Makes new keys for sealed requests now; the old ones open requests for the configured overlap. @throws ServiceError ERR_BUSY: too often; where a fleet shares them, also of its store and of KMS. */
  rotateSealedKeys(): Promise<void>;
  /** Overwrites the data keys and branch keys that are kept in memory, now; messages that need them fetch them anew. */
  wipeCaches(): void;
  /** Stops serving, waits a while for requests under way, and lets go of keys and credentials. */
  close(): Promise<void>;
}

/**
 * Starts an enclave. On return its configuration is measured and locked into PCR16, and it serves.
 * It has not called KMS yet, unless a fleet shares its sealing identity, whose seed comes first: `GET /readyz` does.
 * @throws ServiceError ERR_CONFIGURATION (also for policies that do not validate, before anything is measured), ERR_NSM
 *   (also when PCR16 was used before), ERR_ADDRESS, ERR_TIMEOUT; ERR_CERTIFICATE for a TLS certificate that the
 *   configuration itself contradicts; where the sealing identity is shared, ERR_SEALING_SEED, and those of KMS.
 * @throws TypeError when a function does not come from `defineFunction`, or two have one name.
 */
export async function createEnclave(options: EnclaveOptions): Promise<Enclave> {
  const closers: (() => unknown)[] = [];
  let closed: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  // Called again it must not run ahead, and take from requests under way what they use.
  const close = (): Promise<void> => {
    closed ??= closeAll();
    return closed;
  };
  try {
    return { ...(await start(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(options: EnclaveOptions, closers: (() => unknown)[]): Promise<Omit<Enclave, "close">> {
  const { addresses, clock = systemClock, log = silentLogger } = options;
  const configuration = parseConfiguration(options.configuration);
  assertTlsAddress(configuration, addresses);
  const platform = createPlatform(options, { configuration, clock, log }, closers);
  const { nsm, time, recipient } = platform;
  const operations = operationsOf(options, platform, clock);
  const guard = await createGuard(configuration, { operations, time, clock, log });
  const configurationPcr = await measureConfiguration(nsm, options.configuration);
  const { moduleId } = await nsm.describe();
  log.info({ moduleId, configurationPcr }, `measured the configuration into PCR${CONFIGURATION_PCR}`);
  await recipient.prepare(); // with its first document comes the time
  options.machine?.settle(platform.time.nowMs());
  const keys = await createKeys(platform, { clock, log }, closers);
  const router = createRouter({ platform, guard, operations, keys, clock, machine: options.machine });
  const where = { tls: undefined, ...addresses };
  for (const server of createServers({ configuration, router, keys, moduleId, addresses: where, time, clock, log })) {
    await server.listen();
    closers.push(() => server.close());
  }
  log.info({ address: addresses.listen }, "the enclave serves");
  return {
    configurationPcr,
    address: addresses.listen,
    rotateSealedKeys: () => keys.sealed.rotate(),
    wipeCaches: () => platform.dataKeys.wipe(),
  };
}

function assertTlsAddress({ channels }: Configuration, { tls }: EnclaveAddresses): void {
  if ((channels.tls === undefined) === (tls === undefined)) return;
  throw new ServiceError("ERR_CONFIGURATION", "channels.tls and an address to serve TLS at: expected both or neither");
}

interface Context {
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly log: Logger;
}

type Platform = ReturnType<typeof createPlatform>;

/** What the enclave stands on: its device, its time, and KMS through its parent. Nothing of it has been used on return. */
function createPlatform(options: EnclaveOptions, context: Context, closers: (() => unknown)[]) {
  const { configuration, clock, log } = context;
  const time = new AttestedTime(clock);
  const watch = watchWallClock(time, log);
  const onDocument = (document: Uint8Array): void => {
    time.observeDocument(document);
    watch();
  };
  const nsm = new NsmClient(options.nsm, clock, { onDocument });
  const recipient = new RecipientKeys({ keys: configuration.keys, nsm, clock, limits: configuration.recipient });
  const services = new ServicesClient(options.addresses.services);
  const credentials = new CredentialsCache({ services, clock, log });
  const onDate = (date: string | undefined): void => time.observeKmsDate(date);
  const { tunnel, regionTunnels } = options.addresses;
  const tunnels = { tunnel, regionTunnels };
  const kms = createKmsClients({ configuration, recipient, credentials, services, ...tunnels, clock, log, onDate });
  closers.push(
    () => services.close(),
    () => credentials.close(),
    () => kms.close(),
  );
  const health = new KmsHealth(clock);
  const making = { making: () => kms.operations(), makingKeys: configuration.keys };
  const calls = kmsCalls({ opening: kms.messages, openingKeys: kms.messageKeys, ...making, health });
  const dataKeys = createDataKeys({ configuration, keys: kms.messageKeys, kms: calls, clock, services });
  closers.push(() => dataKeys.wipe());
  const messages = createMessages(configuration, dataKeys);
  const decryption = new Decryption({ kms, messages, keys: configuration.keys, health });
  const encryption = new Encryption({ messages, keys: configuration.keys });
  return { configuration, time, nsm, recipient, services, credentials, kms, health, dataKeys, decryption, encryption };
}

function createMessages({ messages, limits }: Configuration, { dataKeys, kms }: DataKeys): Messages {
  const { requiredPairs, tenantPair } = messages;
  const { maxEncryptedDataKeys } = limits;
  // What keeps keys in memory keeps them by tenant.
  const required = messages.dataKeys.kind === "perMessage" ? requiredPairs : [...requiredPairs, tenantPair];
  return new Messages({ dataKeys, kms, maxEncryptedDataKeys, requiredPairs: required, tenantPair });
}

function operationsOf({ functions = [] }: EnclaveOptions, platform: Platform, clock: Clock): Operation[] {
  const { configuration, decryption, encryption, kms, health, dataKeys } = platform;
  return [
    ...createOperations({ decryption, kms, health, keys: configuration.keys }),
    ...messageOperations({ decryption, encryption }),
    wipeCachesOperation(() => dataKeys.wipe()),
    ...functionOperations(functions, { decryption, encryption, kms, clock }),
  ];
}

async function createKeys(
  platform: Platform,
  { clock, log }: Pick<Context, "clock" | "log">,
  closers: (() => unknown)[],
): Promise<ChannelKeys> {
  const { channels, keys } = platform.configuration;
  const sealed = await createSealedKeys({ ...platform, clock, log });
  closers.push(() => sealed.close());
  if (channels.tls === undefined) return { sealed, tls: undefined };
  const tls = createTlsIdentity(channels.tls, { ...platform, keys, clock, log });
  closers.push(() => tls.close());
  await tls.start();
  return { sealed, tls };
}

interface RouterParts {
  readonly platform: Platform;
  readonly guard: Guard;
  readonly operations: readonly Operation[];
  readonly keys: ChannelKeys;
  readonly clock: Clock;
  readonly machine: Machine | undefined;
}

function createRouter({ platform, guard, operations, keys, clock, machine }: RouterParts): Router {
  const { configuration, nsm, recipient, credentials, kms, health, time } = platform;
  const needsCredentials = configuration.kms.transport === "tunnel";
  const sources = {
    ...{ nsm, recipient, time, kms: health, regions: kms, sealed: keys.sealed, tls: keys.tls },
    credentials: needsCredentials ? credentials : undefined,
    machine,
  };
  return new Router({
    openToParent: configuration.channels.parent,
    nsm,
    sealedKeysAreShared: configuration.channels.sealed.shared !== undefined,
    endpointKeys: (connectionKey) => endpointKeysOf(keys, connectionKey),
    guard,
    operations,
    readiness: new Readiness({ probe: kms.probe, health, clock }),
    health: () => healthReport(sources),
  });
}
