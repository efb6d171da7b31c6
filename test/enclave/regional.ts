/** KMS in one Region or several, over clients that a test made. */
import type { Clock } from "../../enclave/clock.js";
import { systemClock } from "../../enclave/clock.js";
import { RegionAvailability } from "../../enclave/kms/region-availability.js";
import type { RegionClient } from "../../enclave/kms/regional-kms.js";
import { RegionalKms } from "../../enclave/kms/regional-kms.js";
import type { Logger } from "../../enclave/log.js";
import { silentLogger } from "../../enclave/log.js";

export const ATTEMPT_SECONDS = 2;
export const REST_SECONDS = 30;

export function regionalKms(
  regions: readonly [RegionClient, ...RegionClient[]],
  { clock = systemClock, log = silentLogger }: { readonly clock?: Clock; readonly log?: Logger } = {},
) {
  const names = regions.map(({ region }) => region);
  const availability = new RegionAvailability({ regions: names, restSeconds: REST_SECONDS, clock, log });
  const kms = new RegionalKms({ regions, attemptSeconds: ATTEMPT_SECONDS, availability, clock, log });
  return { kms, availability };
}
