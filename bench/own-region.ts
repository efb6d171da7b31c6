/** Attested KMS for the data keys of messages, as an enclave with keys in one Region alone asks it. */
import type { KMSClient } from "@aws-sdk/client-kms";
import type { Clock } from "../enclave/clock.js";
import { kmsCalls } from "../enclave/data-keys/kms-calls.js";
import type { DataKeyKms } from "../enclave/data-keys/source.js";
import { KmsHealth } from "../enclave/health.js";
import type { PinnedKeys } from "../enclave/kms/pinned-keys.js";
import { RegionAvailability } from "../enclave/kms/region-availability.js";
import { RegionalKms } from "../enclave/kms/regional-kms.js";
import { silentLogger } from "../enclave/log.js";

export interface OwnRegionOptions {
  /** Attested. */
  readonly client: KMSClient;
  readonly region: string;
  readonly keys: PinnedKeys;
  readonly clock: Clock;
}

export interface OwnRegion {
  readonly regional: RegionalKms;
  readonly health: KmsHealth;
  readonly calls: (signal: AbortSignal | undefined) => DataKeyKms;
}

/** KMS by `client`; there is no other Region to go to, so nothing of failover matters. */
export function ownRegion({ client, region, keys, clock }: OwnRegionOptions): OwnRegion {
  const regional = new RegionalKms({
    ...{ regions: [{ region, client }], attemptSeconds: 1, clock, log: silentLogger },
    availability: new RegionAvailability({ regions: [region], restSeconds: 1, clock, log: silentLogger }),
  });
  const health = new KmsHealth(clock);
  const calls = kmsCalls({
    ...{ opening: regional, openingKeys: keys, making: () => regional, makingKeys: keys, health },
  });
  return { regional, health, calls };
}
