/** Records in named collections, by id, kept in a folder that one process at a time has. */
import { mkdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { FolderLock } from "./folder-lock.js";
import { lockFolder } from "./folder-lock.js";
import { recordsIn } from "./frames.js";
import type { JournalOptions, OpenedJournal } from "./journal.js";
import { Journal, readLog } from "./journal.js";
import { syncFolder } from "./log-file.js";
import type { MasterKey } from "./master-key.js";
import { assertPrivate } from "./private.js";
import { StorageError } from "./storage-error.js";

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export interface Repository {
  /** What its log is authenticated under. */
  readonly masterKey: MasterKey;
  /**
   * What was kept before the repository was opened, by id, in the order in which the ids first came. It is handed over once:
   * from then on it is its user's to remember.
   */
  takeEntries(collection: string): ReadonlyMap<string, Json>;
  /** Keeps a value in place of what had its id before. Never waits. */
  put(collection: string, id: string, value: Json): void;
  /** Keeps nothing any more under that id. */
  delete(collection: string, id: string): void;
  /** Resolves when everything put and deleted before is kept. @throws StorageError for ever, once something could not be */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A record of the log: a value put, or without one its end. */
type LogRecord = readonly [collection: string, id: string, value?: Json];

/** Opens the repository in a folder, which is made if it is not there. @throws StorageError */
export async function openRepository(
  folder: string,
  options: Pick<JournalOptions, "masterKey" | "compactAtBytes" | "openFile">,
): Promise<Repository> {
  await makeFolder(resolve(folder));
  assertPrivate(`the data folder ${folder}`, await stat(folder), 0o700);
  const lock = await lockFolder(folder);
  try {
    const opened = await Journal.open({
      ...{ ...options, path: logOf(folder), compact },
      assertOwned: () => lock.assertHeld(),
    });
    return new JournalRepository(opened, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Makes the folder if it is not there, and those that lead to it, all of them on disk before this returns. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** The entries of a collection, read without having the folder, also while another process has it. Nothing
 * says that they are ours: that takes the key. @throws StorageError */
export async function readEntries(folder: string, collection: string): Promise<ReadonlyMap<string, Json>> {
  const { frames } = await readLog(logOf(folder));
  return byCollection(fold(recordsIn(frames))).get(collection) ?? new Map();
}

const logOf = (folder: string): string => join(folder, "state.log");

class JournalRepository implements Repository {
  readonly masterKey: MasterKey;
  readonly #journal: Journal;
  readonly #lock: FolderLock;
  readonly #opened: Map<string, ReadonlyMap<string, Json>>;

  constructor({ journal, records, masterKey }: OpenedJournal, lock: FolderLock) {
    this.masterKey = masterKey;
    this.#journal = journal;
    this.#lock = lock;
    this.#opened = byCollection(records);
  }

  takeEntries(collection: string): ReadonlyMap<string, Json> {
    const entries = this.#opened.get(collection);
    this.#opened.delete(collection);
    return entries ?? new Map();
  }

  put(collection: string, id: string, value: Json): void {
    this.#journal.append(JSON.stringify([collection, id, value]));
  }

  delete(collection: string, id: string): void {
    this.#journal.append(JSON.stringify([collection, id]));
  }

  flush(): Promise<void> {
    return this.#journal.flush();
  }

  async close(): Promise<void> {
    try {
      await this.#journal.close();
    } finally {
      await this.#lock.release();
    }
  }
}

/** @throws StorageError for a line that is no record: who reads without the key may read another's */
function parseRecord(line: string): LogRecord {
  const record = parseJson(line);
  if (!Array.isArray(record) || typeof record[0] !== "string" || typeof record[1] !== "string") {
    throw new StorageError("the log holds a record that nitro-decrypt has not written");
  }
  return record as unknown as LogRecord;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new StorageError("the log holds a record that is no JSON", { cause });
  }
}

/** The last word on every id, in the order in which the ids first came. */
function fold(lines: readonly string[]): Iterable<string> {
  const last = new Map<string, string>();
  for (const line of lines) {
    const [collection, id, value] = parseRecord(line);
    const name = JSON.stringify([collection, id]);
    if (value === undefined) last.delete(name);
    else last.set(name, line);
  }
  return last.values();
}

const compact = (lines: readonly string[]): readonly string[] => [...fold(lines)];

function byCollection(lines: Iterable<string>): Map<string, ReadonlyMap<string, Json>> {
  const collections = new Map<string, Map<string, Json>>();
  for (const line of lines) {
    const [collection, id, value = null] = parseRecord(line);
    const entries = collections.get(collection) ?? new Map<string, Json>();
    collections.set(collection, entries.set(id, value));
  }
  return collections;
}
