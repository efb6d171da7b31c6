/**
 * The state of the KMS in a data folder: every change becomes a record of the folder's log, and the records that are there
 * at the start are the changes that make the same state again.
 */
import { resolve } from "node:path";
import type { PricedKey } from "../cost/cost-meter.js";
import { partitionOf } from "../iam/arn.js";
import { sharedKeyPolicy } from "../iam/policy/shared-policies.js";
import { assertOutside, MasterKey } from "../storage/master-key.js";
import type { Repository } from "../storage/repository.js";
import { openRepository, readEntries } from "../storage/repository.js";
import { StorageError } from "../storage/storage-error.js";
import type { Alias, Change, Persistence } from "./change.js";
import type { Grant } from "./grant.js";
import type { KmsKey } from "./key.js";
import { fromStored, toStored } from "./stored-value.js";

/** Where a KMS keeps what it has. */
export interface DataFolderOptions {
  /** Made if it is not there. */
  readonly folder: string;
  /** Beside the folder, with `.master-key` behind its name, if left out. Made if neither is there. */
  readonly masterKeyFile?: string;
  /** How long the log becomes before it is written anew without what is no longer so; 16 MiB if left out. */
  readonly compactAtBytes?: number;
}

export interface DataFolder extends Persistence {
  /** For import tokens that outlive the process. */
  readonly importTokenKey: Uint8Array;
  /** Makes it the folder of that account in that partition, for good. @throws StorageError if it is another one's */
  settle(home: DataHome): void;
  /** What was kept before, in an order in which it can be applied. */
  changes(): Iterable<Change>;
  close(): Promise<void>;
}

/** Where the KMS is that has a folder; of its Region the partition alone counts. */
export interface DataHome {
  readonly accountId: string;
  readonly region: string;
}

/** Opens the folder. @throws StorageError if it is damaged, in use, or its master key is missing or another one */
export async function openDataFolder(given: DataFolderOptions): Promise<DataFolder> {
  const { folder, masterKeyFile, compactAtBytes } = given;
  const masterKeyPath = masterKeyFile ?? `${resolve(folder)}.master-key`;
  const masterKey = async (isNew: boolean): Promise<MasterKey> => {
    await assertOutside(masterKeyPath, folder);
    return isNew ? MasterKey.readOrCreate(masterKeyPath) : MasterKey.read(masterKeyPath);
  };
  const options = { masterKey, ...(compactAtBytes === undefined ? {} : { compactAtBytes }) };
  return new LoggedChanges(await openRepository(folder, options));
}

/**
 * Of the keys in a folder what says nothing of their material, without the master key and also while a KMS has the folder.
 * @throws StorageError
 */
export async function readKeysAtRest(folder: string): Promise<ReadonlyMap<string, PricedKey>> {
  return (await readEntries(folder, "key")) as ReadonlyMap<string, unknown> as ReadonlyMap<string, PricedKey>;
}

/** Whose keys they are. */
const [HOME, HOME_ID] = ["home", "home"];

class LoggedChanges implements DataFolder {
  readonly importTokenKey: Uint8Array;
  readonly #repository: Repository;

  constructor(repository: Repository) {
    this.#repository = repository;
    this.importTokenKey = repository.masterKey.derive("import-token");
  }

  settle({ accountId, region }: DataHome): void {
    const home = `account ${accountId} in the partition ${partitionOf(region)}`;
    const kept = this.#repository.takeEntries(HOME).get(HOME_ID);
    if (kept === undefined) this.#repository.put(HOME, HOME_ID, home);
    else if (kept !== home) throw new StorageError(`the data folder is of ${String(kept)}, not of ${home}`);
  }

  record(change: Change): void {
    switch (change.kind) {
      case "key":
        this.#put("key", change.key.arn, { ...change.key, policy: change.key.policy.text });
        break;
      case "key-gone":
        this.#repository.delete("key", change.arn);
        break;
      case "alias":
        this.#put("alias", change.alias.arn, change.alias);
        break;
      case "alias-gone":
        this.#repository.delete("alias", change.arn);
        break;
      case "grant":
        this.#put("grant", change.grant.grantId, change.grant);
        break;
      case "grant-gone":
        this.#repository.delete("grant", change.grantId);
        break;
      default:
        unkept(change);
    }
  }

  *changes(): Iterable<Change> {
    // Each as `record` put it.
    for (const stored of this.#take("key")) {
      const key = stored as Omit<KmsKey, "policy"> & { readonly policy: string };
      yield { kind: "key", key: { ...key, policy: sharedKeyPolicy(key.policy) } };
    }
    for (const alias of this.#take("alias")) yield { kind: "alias", alias: alias as Alias };
    for (const grant of this.#take("grant")) yield { kind: "grant", grant: grant as Grant };
  }

  flush(): Promise<void> {
    return this.#repository.flush();
  }

  close(): Promise<void> {
    return this.#repository.close();
  }

  #put(collection: string, id: string, value: unknown): void {
    this.#repository.put(collection, id, toStored(value, this.#wrapping(id)));
  }

  *#take(collection: string): Iterable<unknown> {
    for (const [id, stored] of this.#repository.takeEntries(collection)) yield fromStored(stored, this.#wrapping(id));
  }

  #wrapping = (record: string) => ({ masterKey: this.#repository.masterKey, record });
}

/** Unreachable: every kind of change has its case, or this does not compile. */
function unkept(change: never): never {
  throw new TypeError(`there is no way to keep ${JSON.stringify(change)}`);
}
