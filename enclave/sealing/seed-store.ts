/**
 * The parent's store of sealing seeds, as the enclave asks it (parent/services.ts). What it answers is of its form on return
 * and as true as the parent is: whose seeds they are, sealing-seeds.ts finds out.
 */
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { SealingSeed } from "../../shared/sealing-seed.js";
import { sealingSeed, sealingSeeds } from "../../shared/sealing-seed.js";
import { parseJson } from "../../shared/wire.js";
import type { ServicesClient } from "../kms/services.js";
import type { FleetIdentity } from "./fleet-identity.js";

export class SeedStore {
  readonly #services: Pick<ServicesClient, "request">;
  readonly #path: string;

  constructor(services: Pick<ServicesClient, "request">, { fleet, measurement }: FleetIdentity) {
    this.#services = services;
    this.#path = `/sealing-seeds/${fleet}/${measurement}`;
  }

  /** The newest seeds, the newest first. @throws ServiceError ERR_SEALING_SEED, ERR_TIMEOUT, ERR_BUSY, as `put` does. */
  async list(): Promise<readonly SealingSeed[]> {
    const text = await this.#services.request({ method: "GET", path: this.#path, failureCode: "ERR_SEALING_SEED" });
    return parseJson(sealingSeeds, text, "ERR_SEALING_SEED").seeds;
  }

  /** Gives `seed`, unless somebody was first. Returns the one that its epoch has. */
  async put(seed: SealingSeed): Promise<SealingSeed> {
    const body = utf8(JSON.stringify(seed));
    const request = { method: "PUT", path: this.#path, body, failureCode: "ERR_SEALING_SEED" } as const;
    const kept = parseJson(sealingSeed, await this.#services.request(request), "ERR_SEALING_SEED");
    if (kept.epoch === seed.epoch) return kept;
    throw new ServiceError("ERR_SEALING_SEED", "expected the seed of the epoch that was put, it is of another");
  }
}
