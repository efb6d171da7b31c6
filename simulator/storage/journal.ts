/**
 * An append-only log of JSON records with group commit: everything that is appended while one commit is on its way to the
 * disk goes with the next one, in one write(2) and one fdatasync(2). So many callers at once cost little more than one.
 *
 * A failure of the disk is final: after a failed fsync nobody can say what is on disk (the kernel may have dropped the
 * pages), so the journal takes nothing more, and every later flush fails. What had been acknowledged is in the file.
 */
import type { KeyObject } from "node:crypto";
import { createSecretKey } from "node:crypto";
import { readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Frame, LogContent } from "./frames.js";
import { decodeFrames, encodeFrame, LOG_HEADER, MacChain, recordsIn } from "./frames.js";
import type { LogFile } from "./log-file.js";
import { openLogFile, syncFolder } from "./log-file.js";
import type { MasterKey } from "./master-key.js";
import { hasCode, StorageError } from "./storage-error.js";

export interface JournalOptions {
  readonly path: string;
  /** From which the key is derived that commits are authenticated under. It is made, if need be, for a log without any. */
  readonly masterKey: (isNew: boolean) => Promise<MasterKey>;
  /** Of all records, oldest first, those that still say something. */
  readonly compact: (records: readonly string[]) => readonly string[];
  /** The log is compacted when it is this long, and twice as long as after the last time. */
  readonly compactAtBytes?: number;
  /** Asked before each commit: throws if the folder is another process's by now. */
  readonly assertOwned?: () => void;
  /** Opens a file cut to a length; `openLogFile` if left out. */
  readonly openFile?: typeof openLogFile;
}

/** The longest record, in UTF-16 units. A KMS key with everything that AWS's limits allow is far below it. */
export const MAX_RECORD_LENGTH = 4 * 1024 * 1024;
const DEFAULT_COMPACT_AT_BYTES = 16 * 1024 * 1024;
const DEFAULTS = {
  compactAtBytes: DEFAULT_COMPACT_AT_BYTES,
  openFile: openLogFile,
  assertOwned: (): void => undefined,
};
/** Of a compacted log. */
const RECORDS_PER_FRAME = 256;

/** Of a log, what a journal goes on from. */
interface LogState {
  readonly file: LogFile;
  readonly key: KeyObject;
  readonly chain: MacChain;
  readonly lastCommit: number;
  readonly bytes: number;
}

export interface OpenedJournal {
  readonly journal: Journal;
  /** Oldest first. */
  readonly records: readonly string[];
  readonly masterKey: MasterKey;
}

export class Journal {
  readonly #options: Required<JournalOptions>;
  #log: LogState;
  #compactedBytes: number;
  #pending: string[] = [];
  /** The commit that takes what is pending. */
  #next: Promise<void> | undefined;
  /** The commit before it; settled if none is under way. */
  #current: Promise<void> = Promise.resolve();
  #failure: StorageError | undefined;
  /** Settled when the file is closed; undefined until that is asked for. */
  #closed: Promise<void> | undefined;

  private constructor(options: Required<JournalOptions>, log: LogState) {
    this.#options = options;
    this.#log = log;
    this.#compactedBytes = log.bytes;
  }

  /**
   * Opens the log, which is made if it is not there, and hands over the records that still say something. A commit that a crash cut
   * off is cut off for good. @throws StorageError if the log is none, or was damaged after it had been written
   */
  static async open(given: JournalOptions): Promise<OpenedJournal> {
    const options = { ...DEFAULTS, ...given };
    await rm(draftOf(options.path), { force: true }); // of a compaction that a crash cut off
    const content = await readLog(options.path);
    const masterKey = await options.masterKey(content.lastCommit === 0);
    const key = createSecretKey(masterKey.derive("log"));
    const chain = authenticate(options.path, content.frames, key);
    const records = options.compact(recordsIn(content.frames));
    if (content.end === 0) {
      return { journal: new Journal(options, await writeLog(options, [], key)), records, masterKey };
    }
    const file = await options.openFile(options.path, content.end);
    const log = { file, key, chain, lastCommit: content.lastCommit, bytes: content.end };
    return { journal: new Journal(options, log), records, masterKey };
  }

  /** Takes a record for the next commit, in order. Never waits and never throws: `flush` tells whether it was kept. */
  append(record: string): void {
    if (record.length > MAX_RECORD_LENGTH) this.#fail(`a record of ${record.length} characters is too long`);
    this.#pending.push(record);
    void this.#scheduled();
  }

  /** Resolves when everything that was appended before is on disk. @throws StorageError for ever, once something was not */
  flush(): Promise<void> {
    return this.#next ?? this.#current;
  }

  /**
   * Commits what is pending and closes the file; what is appended when that is under way is not kept. An empty commit is the
   * last: behind it damage to any other is seen.
   */
  close(): Promise<void> {
    this.#closed ??= this.#scheduled().finally(() => this.#log.file.close());
    return this.#closed;
  }

  /** The commit that takes what is pending. One begins when the one before it has ended: no two have the same number. */
  #scheduled(): Promise<void> {
    if (this.#next === undefined) {
      this.#next = this.#current.then(() => this.#commit());
      // Who wants to know of a failure calls `flush`; a promise that nobody asked for must not end the process.
      this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  async #commit(): Promise<void> {
    const records = this.#pending;
    this.#pending = [];
    this.#current = this.#next ?? this.#current;
    this.#next = undefined;
    if (this.#failure !== undefined) throw this.#failure;
    const isLast = this.#closed !== undefined;
    try {
      if (records.length > 0) await this.#write(records);
      if (isLast) await this.#end();
      else if (this.#log.bytes >= Math.max(this.#options.compactAtBytes, 2 * this.#compactedBytes))
        await this.#compact();
    } catch (cause) {
      throw this.#fail(`writing to ${this.#options.path} failed: ${String(cause)}`, cause);
    }
  }

  async #end(): Promise<void> {
    await this.#write([]);
    this.#fail(`${this.#options.path} is closed`);
  }

  async #write(records: readonly string[]): Promise<void> {
    const { file, lastCommit, bytes, chain } = this.#log;
    if (!file.isStill(bytes)) throw new StorageError("it was changed or replaced by another process");
    this.#options.assertOwned();
    const frame = encodeFrame(lastCommit + 1, records, chain);
    await file.append(frame);
    await file.sync();
    this.#log = { ...this.#log, lastCommit: lastCommit + 1, bytes: bytes + frame.length };
  }

  /** Replaces the log by a short one that says the same. The old one stays whole until the new one is. */
  async #compact(): Promise<void> {
    const { file, key } = this.#log;
    const { frames } = await readLog(this.#options.path);
    authenticate(this.#options.path, frames, key);
    this.#log = await writeLog(this.#options, this.#options.compact(recordsIn(frames)), key);
    this.#compactedBytes = this.#log.bytes;
    await file.close();
  }

  #fail(message: string, cause?: unknown): StorageError {
    this.#failure ??= new StorageError(message, { cause });
    return this.#failure;
  }
}

const draftOf = (path: string): string => `${path}.new`;

/**
 * Reads and checks a log, also while another process writes it. `end` is 0 if there is none, or not more than the beginning
 * of its header. @throws StorageError
 */
export async function readLog(path: string): Promise<LogContent> {
  const bytes = await readFile(path).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return Buffer.alloc(0);
    throw error;
  });
  const header = bytes.subarray(0, LOG_HEADER.length);
  if (!header.equals(LOG_HEADER.subarray(0, header.length))) {
    throw new StorageError(`${path} is not a log of this version of nitro-decrypt; it was left as it is`);
  }
  if (header.length < LOG_HEADER.length) return { frames: [], lastCommit: 0, end: 0 };
  const content = decodeFrames(bytes);
  if (content.laterCommit !== undefined) {
    throw new StorageError(
      `${path} is damaged at byte ${content.end}: commit ${content.lastCommit + 1} cannot be read, and commit ` +
        `${content.laterCommit} behind it can. It was acknowledged; restore the file from a copy. It was left as it is`,
    );
  }
  return content;
}

/** The chain of MACs behind all of the frames. @throws StorageError if one was not written under the key, or not there */
function authenticate(path: string, frames: readonly Frame[], key: KeyObject): MacChain {
  const chain = new MacChain(key);
  const foreign = frames.find((frame) => !chain.accepts(frame));
  if (foreign === undefined) return chain;
  throw new StorageError(
    `commit ${foreign.commit} of ${path} was not written under this master key: the key is another one, or somebody ` +
      "changed the log. It was left as it is",
  );
}

/** Puts a new log in place of what there is: written whole and on disk before it gets its name. */
async function writeLog(
  { path, openFile }: Required<JournalOptions>,
  records: readonly string[],
  key: KeyObject,
): Promise<LogState> {
  const file = await openFile(draftOf(path), 0);
  const chain = new MacChain(key);
  const frames: Buffer[] = [LOG_HEADER];
  for (let first = 0; first < records.length; first += RECORDS_PER_FRAME) {
    frames.push(encodeFrame(frames.length, records.slice(first, first + RECORDS_PER_FRAME), chain));
  }
  const log = Buffer.concat(frames);
  await file.append(log);
  await file.sync();
  await rename(draftOf(path), path);
  await syncFolder(dirname(path));
  return { file, key, chain, lastCommit: frames.length - 1, bytes: log.length };
}
