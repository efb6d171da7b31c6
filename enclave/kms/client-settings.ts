/**
 * What all KMS clients of the enclave have in common. What depends on the environment in the SDK (endpoint, retry mode, proxies,
 * profiles) is set here, so that the measured configuration alone decides.
 */
import type { KMSClientConfig } from "@aws-sdk/client-kms";
import type { Configuration } from "../configuration.js";
import type { KmsClientsOptions } from "./kms-clients.js";
import { kmsHostname } from "./kms-endpoint.js";
import type { PinnedKeys } from "./pinned-keys.js";
import { RegionAvailability } from "./region-availability.js";
import type { RegionClient } from "./regional-kms.js";
import { RegionalKms } from "./regional-kms.js";

const MAX_ATTEMPTS = 3;

/** The settings of a client for `region`. */
export const settingsFor = (region: string): KMSClientConfig => ({
  region,
  endpoint: `https://${kmsHostname(region)}`,
  maxAttempts: MAX_ATTEMPTS,
  retryMode: "standard",
  defaultsMode: "standard",
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  authSchemePreference: ["aws.auth#sigv4"],
  disableClockSkewCorrection: false, // the enclave's clock may be wrong: KMS's own Date then serves for the signature
  userAgentAppId: async () => undefined,
});

/** The keys under which data keys of messages are opened. @throws ServiceError ERR_CONFIGURATION. */
export function messageKeysOf({ keys, messages: { discovery } }: Configuration): PinnedKeys {
  return discovery === undefined ? keys : keys.withDiscovery(discovery);
}

/** What the calls of all clients tell of their Regions. */
export function availabilityOf({ configuration, clock, log }: KmsClientsOptions): RegionAvailability {
  const { regions, kms } = configuration;
  return new RegionAvailability({ regions, restSeconds: kms.failover.restSeconds, clock, log });
}

/** The clients of one purpose, the own Region's first. */
export function regional(
  [own, ...others]: readonly RegionClient[],
  availability: RegionAvailability,
  { configuration, clock, log }: KmsClientsOptions,
): RegionalKms {
  if (own === undefined) throw new TypeError("an enclave has a Region of its own");
  const { attemptSeconds } = configuration.kms.failover;
  return new RegionalKms({ regions: [own, ...others], attemptSeconds, availability, clock, log });
}
