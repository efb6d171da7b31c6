/**
 * Writing a key store in a folder (parent/branch-key-folder.ts): several records at once, all or none of them whatever
 * happens in between. What is to be written is first put down as a whole in `transaction.json`; a writer that finds one
 * ends what another one began. Writers wait for nobody: one at a time has the folder. Readers need neither: they read one
 * record, and an active record is written after the version that it names.
 */
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { BranchKeyItemKey, JsonItem } from "../../parent/branch-key-folder.js";
import { isItemFileName, itemFileName, readItem, readItemFile } from "../../parent/branch-key-folder.js";
import { ServiceError } from "../../shared/errors.js";
import { parseJson } from "../../shared/wire.js";
import { lockFolder } from "../../simulator/storage/folder-lock.js";
import { syncFolder } from "../../simulator/storage/log-file.js";
import { hasCode, StorageError } from "../../simulator/storage/storage-error.js";
import { CommandFailure } from "../command.js";
import { systemFailure } from "../system-failure.js";

const TRANSACTION_FILE = "transaction.json";
const jsonItems = z.array(z.record(z.string(), z.record(z.string(), z.unknown()))).max(16);

/** The primary key of a record. */
export const keyOf = (item: JsonItem): BranchKeyItemKey => ({
  branchKeyId: String(item["branch-key-id"]?.S),
  type: String(item.type?.S),
});

export class FolderTable {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws ServiceError ERR_KEY_STORE */
  get(key: BranchKeyItemKey): Promise<JsonItem | undefined> {
    return readItem(this.#path, key);
  }

  /** All records, of one branch key or of all. @throws ServiceError ERR_KEY_STORE, CommandFailure */
  async list(branchKeyId?: string): Promise<readonly JsonItem[]> {
    const names = await readdir(this.#path).catch((error: unknown) => {
      throw systemFailure(`--folder ${this.#path} cannot be read`, error);
    });
    const items: JsonItem[] = [];
    for (const name of names.filter(isItemFileName)) {
      const item = await readItemFile(join(this.#path, name));
      if (item && (branchKeyId === undefined || keyOf(item).branchKeyId === branchKeyId)) items.push(item);
    }
    return items;
  }

  /**
   * Writes `items`, in their order, once `check` has looked at what there is.
   * @throws what `check` throws, and then nothing is written; CommandFailure (the folder cannot be had).
   */
  write(items: readonly JsonItem[], check: () => Promise<void>): Promise<void> {
    return this.#locked(async () => {
      await check();
      await this.#replace(TRANSACTION_FILE, JSON.stringify(items));
      await this.#endTransaction();
    });
  }

  /** Deletes records, in the order given. */
  delete(keys: readonly BranchKeyItemKey[]): Promise<void> {
    return this.#locked(async () => {
      for (const key of keys) {
        await rm(join(this.#path, itemFileName(key)), { force: true });
        await syncFolder(this.#path);
      }
    });
  }

  async #locked(run: () => Promise<void>): Promise<void> {
    try {
      await mkdir(this.#path, { recursive: true });
      const lock = await lockFolder(this.#path);
      try {
        await this.#endTransaction();
        await run();
      } finally {
        await lock.release();
      }
    } catch (error) {
      if (error instanceof StorageError) throw new CommandFailure(1, error.message, { cause: error });
      throw systemFailure(`--folder ${this.#path} cannot be written`, error);
    }
  }

  /** Does what a transaction says, again if need be, and takes it away. */
  async #endTransaction(): Promise<void> {
    const file = join(this.#path, TRANSACTION_FILE);
    const text = await readText(file);
    if (text === undefined) return;
    for (const item of parseJson(jsonItems, text, "ERR_KEY_STORE")) {
      await this.#replace(itemFileName(keyOf(item)), `${JSON.stringify(item, undefined, 2)}\n`);
    }
    await rm(file);
    await syncFolder(this.#path);
  }

  /** The file is the old one or the new one at any time, and the new one from the return on. */
  async #replace(name: string, text: string): Promise<void> {
    const draft = join(this.#path, `${name}.draft`);
    const file = await open(draft, "w", 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, join(this.#path, name));
    await syncFolder(this.#path);
  }
}

async function readText(path: string): Promise<string | undefined> {
  const file = await open(path, "r").catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    return await file.readFile("utf8");
  } catch (cause) {
    throw new ServiceError("ERR_KEY_STORE", "expected a transaction that can be read", { cause });
  } finally {
    await file.close();
  }
}
