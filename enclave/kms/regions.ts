/**
 * The Regions whose KMS an enclave may ask: its own, and those where a related key may stand in for a multi-Region key of
 * the configuration. What the configuration says of them is checked here, before anything is measured.
 */
import { ServiceError } from "../../shared/errors.js";
import { isMultiRegion, parseKeyArn } from "./key-arn.js";
import type { PinnedKey } from "./pinned-keys.js";

/** Each has a tunnel of its own: as many as there are vsock ports for (shared/address.ts). */
export const MAX_REGIONS = 16;

export interface RegionsConfiguration {
  readonly kms: {
    readonly region: string;
    readonly keys: readonly PinnedKey[];
    readonly transport: "tunnel" | "gateway";
    readonly failover: { readonly attemptSeconds: number };
  };
  readonly limits: { readonly requestDeadlineSeconds: number };
}

/**
 * The Regions, the own one first, then in the order in which the keys first name them.
 * @throws ServiceError ERR_CONFIGURATION when a key that is in one Region only, or the gateway, has further Regions; a key
 *   names a Region twice or its own; there are more than 16; an attempt may last as long as a request.
 */
export function regionsOf({ kms, limits }: RegionsConfiguration): readonly string[] {
  kms.keys.forEach((key, index) => {
    assertReplicas(key, `kms.keys.${index}.replicaRegions`);
  });
  const regions = [...new Set([kms.region, ...kms.keys.flatMap(({ replicaRegions = [] }) => replicaRegions)])];
  if (regions.length > 1) assertSeveral(regions, kms, limits);
  return regions;
}

function assertReplicas({ arn, replicaRegions = [] }: PinnedKey, field: string): void {
  if (replicaRegions.length === 0) return;
  const key = parseKeyArn(arn);
  if (key === undefined || !isMultiRegion(key)) {
    throw new ServiceError("ERR_CONFIGURATION", `${field}: expected none, the key is not a multi-Region key (mrk-)`);
  }
  if (new Set([key.region, ...replicaRegions]).size !== replicaRegions.length + 1) {
    throw new ServiceError("ERR_CONFIGURATION", `${field}: expected other Regions than the key's own, each once`);
  }
}

function assertSeveral(
  regions: readonly string[],
  { transport, failover }: RegionsConfiguration["kms"],
  { requestDeadlineSeconds }: RegionsConfiguration["limits"],
): void {
  if (transport !== "tunnel") {
    throw new ServiceError("ERR_CONFIGURATION", "kms.keys: the gateway reaches one Region, expected no replicaRegions");
  }
  if (regions.length > MAX_REGIONS) {
    throw new ServiceError("ERR_CONFIGURATION", `kms.keys: expected at most ${MAX_REGIONS} Regions together`);
  }
  if (failover.attemptSeconds >= requestDeadlineSeconds) {
    throw new ServiceError(
      "ERR_CONFIGURATION",
      "kms.failover.attemptSeconds: expected less than limits.requestDeadlineSeconds",
    );
  }
}
