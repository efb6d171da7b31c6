/** The Regions of one KMS. Each has keys of its own; a Region begins when somebody first signs a request for it. */
import { parseArn, partitionOf } from "../iam/arn.js";
import type { Change, Persistence } from "./change.js";
import { inMemory } from "./change.js";
import { GrantStore } from "./grants.js";
import { ImportTokens } from "./import/import-token.js";
import type { KmsKey } from "./key.js";
import { KeyUses } from "./key-uses.js";
import { KeyStore } from "./keys.js";

/** What a Region holds. */
export interface Region {
  readonly name: string;
  readonly keys: KeyStore;
  readonly grants: GrantStore;
}

export interface RegionsOptions {
  readonly persistence?: Persistence;
  /** How long it takes until a grant, or its end, is known everywhere. No time if left out. */
  readonly grantConsistencySeconds?: number;
  /** What import tokens are sealed under; a key that ends with the process if left out. */
  readonly importTokenKey?: Uint8Array;
  /** Since when uses of keys are noted; from the first one on if left out. */
  readonly startedAt?: Date;
}

/** General Reference, "AWS KMS endpoints and quotas": an area, perhaps of a partition of its own, a direction and a number. */
const REGION_NAME =
  /^(us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov|us-iso[a-z]?|eu-isoe|eusc-[a-z]{2})-(central|(north|south)(east|west)?|east|west)-[1-9]$/;

/** Whether a Region of AWS could be called that. */
export const isRegionName = (text: string): boolean => REGION_NAME.test(text);

export class Regions {
  readonly #partition: string;
  readonly #persistence: Persistence;
  readonly #grantConsistencySeconds: number;
  readonly #regions = new Map<string, Region>();
  readonly importTokens: ImportTokens;
  readonly keyUses: KeyUses;

  /** Regions of the partition that `home` belongs to. */
  constructor(home: string, options: RegionsOptions = {}) {
    const { persistence = inMemory, grantConsistencySeconds = 0, importTokenKey, startedAt = new Date(0) } = options;
    this.#partition = partitionOf(home);
    this.#persistence = persistence;
    this.#grantConsistencySeconds = grantConsistencySeconds;
    this.importTokens = new ImportTokens(importTokenKey);
    this.keyUses = new KeyUses(startedAt);
    this.of(home);
  }

  /**
   * Whether there is, or could be, a Region of that name. There are so few such names that each may have one, whoever signs
   * for it first: a bound below that would be used up by who has no permission at all.
   */
  has(name: string): boolean {
    return this.#regions.has(name) || (isRegionName(name) && partitionOf(name) === this.#partition);
  }

  /** The Region of that name, for which `has` holds. */
  of(name: string): Region {
    const present = this.#regions.get(name);
    if (present !== undefined) return present;
    const grants = new GrantStore(this.#persistence, this.#grantConsistencySeconds);
    const region = { name, keys: new KeyStore(name, this.#persistence, grants), grants };
    this.#regions.set(name, region);
    return region;
  }

  /** The key of that ARN, if there is one. */
  find(arn: string): KmsKey | undefined {
    return this.#regions.get(parseArn(arn)?.region ?? "")?.keys.find(arn);
  }

  /** The other keys of a multi-Region key; none of a single-Region key. */
  related({ arn, accountId, keyId, multiRegionKeyType }: KmsKey): readonly KmsKey[] {
    if (multiRegionKeyType === undefined) return [];
    const keys = [...this.#regions.values()].map((region) => region.keys.find(region.keys.keyArn(accountId, keyId)));
    return keys.filter((key) => key !== undefined).filter((key) => key.arn !== arn);
  }

  /** Puts a key in its Region. */
  put(key: KmsKey): void {
    this.#regionOf(key).keys.put(key);
  }

  /** Takes a key away, with its aliases and grants. */
  remove(key: KmsKey): void {
    this.#regionOf(key).keys.remove(key);
    this.keyUses.forget(key.arn);
  }

  /** The ARNs of the keys in all Regions whose time has come. */
  takeDue(now: Date): readonly string[] {
    return [...this.#regions.values()].flatMap(({ keys }) => keys.takeDue(now));
  }

  /** Applies a change that was recorded before. */
  restore(change: Change): void {
    const { keys, grants } = this.#regionOf({ arn: arnOf(change) });
    if (change.kind === "grant" || change.kind === "grant-gone") grants.restore(change);
    else keys.restore(change);
  }

  /** Every key of every Region. */
  *keys(): Iterable<KmsKey> {
    for (const { keys } of this.#regions.values()) yield* keys.all();
  }

  #regionOf({ arn }: { readonly arn: string }): Region {
    return this.of(parseArn(arn)?.region ?? "");
  }

  /** Resolves when every change so far is kept. */
  flush(): Promise<void> {
    return this.#persistence.flush();
  }
}

/** What tells the Region of a change. */
function arnOf(change: Change): string {
  switch (change.kind) {
    case "key":
      return change.key.arn;
    case "alias":
      return change.alias.arn;
    case "grant":
      return change.grant.keyArn;
    case "grant-gone":
      return change.keyArn;
    default:
      return change.arn;
  }
}
