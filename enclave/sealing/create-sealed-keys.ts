/** The keys for sealed requests that the configuration asks for: the enclave's own, or those of its fleet. */
import type { AttestedTime } from "../attested-time.js";
import type { Clock } from "../clock.js";
import type { Configuration } from "../configuration.js";
import type { KmsHealth } from "../health.js";
import type { KmsClients } from "../kms/kms-clients.js";
import type { ServicesClient } from "../kms/services.js";
import type { Logger } from "../log.js";
import type { NsmClient } from "../nsm.js";
import { fleetIdentityOf } from "./fleet-identity.js";
import { OwnSealedKeys } from "./own-sealed-keys.js";
import type { SealedKeys } from "./sealed-keys.js";
import { SealingSeeds } from "./sealing-seeds.js";
import { SeedStore } from "./seed-store.js";
import { SharedSealedKeys } from "./shared-sealed-keys.js";

export interface SealedKeysContext {
  readonly configuration: Pick<Configuration, "channels" | "keys">;
  readonly nsm: NsmClient;
  readonly time: AttestedTime;
  readonly kms: Pick<KmsClients, "operations">;
  readonly health: KmsHealth;
  readonly services: ServicesClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Keys to begin with; shared ones need the parent's store and KMS. @throws ServiceError as `SharedSealedKeys.start`, where they are shared. */
export async function createSealedKeys(context: SealedKeysContext): Promise<SealedKeys> {
  const { configuration, clock, nsm, time, kms, health, services, log } = context;
  const { shared, ...limits } = configuration.channels.sealed;
  if (shared === undefined) return OwnSealedKeys.create({ clock, limits });
  const identity = await fleetIdentityOf(nsm, shared.fleet);
  const key = configuration.keys.resolve(shared.keyId);
  return SharedSealedKeys.start({
    seeds: new SealingSeeds({ identity, key, kms, health, nsm }),
    store: new SeedStore(services, identity),
    nowMs: () => time.nowMs(),
    ...{ clock, limits, log },
  });
}
