/**
 * The sealing seeds of the fleets behind this parent: public ciphertexts, kept so that enclaves with the same measurements
 * find the seed that one of them has made. The first seed of an epoch stays; of each fleet the newest few are kept, and of
 * fleets the ones that were asked for last, so that versions which run no more do not pile up. In a folder they outlive
 * the parent. What is lost, an enclave that has it gives again.
 *
 * Refused: what is not of the form of a record (ERR_MESSAGE_MALFORMED), and an epoch older than all that are kept
 * (ERR_ROLLBACK). Whether a seed is genuine the enclaves decide.
 */
import type { Logger } from "pino";
import { ServiceError } from "../shared/errors.js";
import type { SealingSeed } from "../shared/sealing-seed.js";
import { FLEET_NAME, KEPT_SEEDS, MEASUREMENT } from "../shared/sealing-seed.js";
import { SeedFolder } from "./seed-folder.js";

/** Fleets whose seeds are kept: an instance has at most four enclaves, each of another version at the worst. */
export const MAX_FLEETS = 32;

/** Names a fleet: its own name, and what its enclaves measure. */
export interface FleetId {
  readonly fleet: string;
  readonly measurement: string;
}

export interface SeedStoreOptions {
  /** Where to keep them as well; in memory alone unless given. */
  readonly folder?: string | undefined;
  readonly log: Logger;
}

export class SeedStore {
  /** By fleet and measurement, the newest epoch first; the fleet that was asked for last comes last. */
  readonly #seeds = new Map<string, readonly SealingSeed[]>();
  readonly #folder: SeedFolder | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(folder: SeedFolder | undefined) {
    this.#folder = folder;
  }

  /** A store with what its folder has; what cannot be read there is logged and not kept. @throws ServiceError ERR_CONFIGURATION: no such folder. */
  static async open({ folder, log }: SeedStoreOptions): Promise<SeedStore> {
    if (folder === undefined) return new SeedStore(undefined);
    const files = new SeedFolder(folder, log);
    const store = new SeedStore(files);
    for (const [name, seeds] of await files.read(MAX_FLEETS)) store.#seeds.set(name, seeds);
    return store;
  }

  /** The newest seeds of a fleet, the newest first; none where nobody has given one. @throws ServiceError ERR_NOT_FOUND: that is no fleet's name. */
  list(id: FleetId): readonly SealingSeed[] {
    const name = nameOf(id);
    const seeds = this.#seeds.get(name);
    if (seeds === undefined) return [];
    this.#seeds.delete(name);
    this.#seeds.set(name, seeds);
    return seeds;
  }

  /**
   * Keeps `seed`, unless its epoch has one. Returns the one that the epoch has; it is in the folder on return.
   * @throws ServiceError ERR_NOT_FOUND, ERR_ROLLBACK, ERR_INTERNAL (the folder cannot be written to; the seed is not kept).
   */
  put(id: FleetId, seed: SealingSeed): Promise<SealingSeed> {
    const name = nameOf(id);
    const written = this.#writing.then(() => this.#put(name, id, seed)); // one at a time: the first wins
    this.#writing = written.catch(() => undefined); // told to whoever put it
    return written;
  }

  async #put(name: string, id: FleetId, seed: SealingSeed): Promise<SealingSeed> {
    const seeds = this.list(id);
    const kept = seeds.find(({ epoch }) => epoch === seed.epoch);
    if (kept !== undefined) return kept;
    const oldest = seeds.at(-1);
    if (seeds.length === KEPT_SEEDS && oldest !== undefined && seed.epoch < oldest.epoch) {
      throw new ServiceError("ERR_ROLLBACK", `expected an epoch after ${oldest.epoch}, got ${seed.epoch}`);
    }
    const next = [...seeds, seed].sort((a, b) => b.epoch - a.epoch).slice(0, KEPT_SEEDS);
    await this.#folder?.write(name, next);
    this.#seeds.set(name, next);
    await this.#forgetOldest();
    return seed;
  }

  async #forgetOldest(): Promise<void> {
    const [oldest] = this.#seeds.keys();
    if (this.#seeds.size <= MAX_FLEETS || oldest === undefined) return;
    this.#seeds.delete(oldest);
    await this.#folder?.remove(oldest);
  }
}

function nameOf({ fleet, measurement }: FleetId): string {
  if (FLEET_NAME.test(fleet) && MEASUREMENT.test(measurement)) return `${fleet}.${measurement}`;
  throw new ServiceError("ERR_NOT_FOUND", "expected the name of a fleet and its measurement");
}
