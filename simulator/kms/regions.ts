/** The Regions of one KMS. Each has keys of its own; a Region begins when somebody first signs a request for it. */
import { parseArn, partitionOf } from "../iam/arn.js";
import type { Change, Persistence } from "./change.js";
import { inMemory } from "./change.js";
import { KeyStore } from "./keys.js";

/** What a Region holds. */
export interface Region {
  readonly name: string;
  readonly keys: KeyStore;
}

const REGION_NAME = /^[a-z]{2,4}(-[a-z]{1,12}){1,3}-\d{1,2}$/;
/** More than AWS has. */
const MAX_REGIONS = 64;

export class Regions {
  readonly #partition: string;
  readonly #persistence: Persistence;
  readonly #regions = new Map<string, Region>();

  /** Regions of the partition that `home` belongs to. */
  constructor(home: string, persistence: Persistence = inMemory) {
    this.#partition = partitionOf(home);
    this.#persistence = persistence;
    this.of(home);
  }

  /** Whether there is, or could be, a Region of that name. */
  has(name: string): boolean {
    if (this.#regions.has(name)) return true;
    return REGION_NAME.test(name) && partitionOf(name) === this.#partition && this.#regions.size < MAX_REGIONS;
  }

  /** The Region of that name, for which `has` holds. */
  of(name: string): Region {
    const present = this.#regions.get(name);
    if (present !== undefined) return present;
    const region = { name, keys: new KeyStore(name, this.#persistence) };
    this.#regions.set(name, region);
    return region;
  }

  /** Applies a change that was recorded before. */
  restore(change: Change): void {
    this.of(parseArn(arnOf(change))?.region ?? "").keys.restore(change);
  }

  /** Resolves when every change so far is kept. */
  flush(): Promise<void> {
    return this.#persistence.flush();
  }
}

function arnOf(change: Change): string {
  if (change.kind === "key") return change.key.arn;
  return change.kind === "alias" ? change.alias.arn : change.arn;
}
