/**
 * The enclave's KMS clients: the SDK's own, attested, one for each Region and purpose.
 */
import type { Clock } from "../clock.js";
import type { Configuration } from "../configuration.js";
import type { Logger } from "../log.js";
import type { CredentialsCache } from "./credentials.js";
import type { PinnedKeys } from "./pinned-keys.js";
import type { Recipient } from "./recipient.js";
import type { RegionState } from "./region-availability.js";
import type { RegionalKms } from "./regional-kms.js";
import type { ServicesClient } from "./services.js";

/** Clients by what they are for. */
export interface KmsClients {
  /**
   * For the operations that hand KMS's answers on.
   * @throws ServiceError ERR_GATEWAY_REFUSED where the transport is the gateway.
   */
  operations(): RegionalKms;
  /** For Decrypt of the data keys of AWS Encryption SDK messages, and nothing else. */
  readonly messages: RegionalKms;
  /** The keys under which data keys of messages are opened: those of the configuration, and discovered ones. */
  readonly messageKeys: PinnedKeys;
  /** For the readiness probe. */
  readonly probe: RegionalKms;
  /** How the Regions stand; absent where there is one alone. */
  readonly regions: readonly RegionState[] | undefined;
  /** Closes connections. */
  close(): void;
}

export interface KmsClientsOptions {
  readonly configuration: Configuration;
  readonly recipient: Recipient;
  readonly credentials: Pick<CredentialsCache, "get">;
  readonly services: ServicesClient;
  /** Where the parent's tunnel to the own Region listens. */
  readonly tunnel: string;
  /** Where its tunnels to the other Regions listen, by Region: one for each that the configuration names. */
  readonly regionTunnels?: Readonly<Record<string, string>> | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told the `Date` header of each answer that KMS itself gave (over the gateway the parent would be its source). */
  readonly onDate?: (date: string | undefined) => void;
}
