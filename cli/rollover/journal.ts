/**
 * The journal of a rollover: an append-only file in the state folder, which one process at a time has. What is appended
 * while one write is on its way to the disk goes with the next, in one write(2) and one fdatasync(2). A failed one is
 * final: nobody can say what is on disk, so nothing more is begun.
 */
import { chmod, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { utf8 } from "../../shared/bytes.js";
import type { FolderLock } from "../../simulator/storage/folder-lock.js";
import { lockFolder } from "../../simulator/storage/folder-lock.js";
import type { LogFile } from "../../simulator/storage/log-file.js";
import { openLogFile, syncFolder } from "../../simulator/storage/log-file.js";
import { hasCode, StorageError } from "../../simulator/storage/storage-error.js";
import { CommandFailure } from "../command.js";
import { systemFailure } from "../system-failure.js";
import type { FileRecord, HeadRecord, JournalContent } from "./journal-records.js";
import { parseJournal } from "./journal-records.js";

const JOURNAL = "journal.jsonl";

export interface OpenedJournal {
  readonly journal: Journal;
  /** What it said when it was opened; of a new one the head alone. */
  readonly content: JournalContent;
}

/** What the journal of a state folder says, without having the folder; undefined if there is none. @throws CommandFailure */
export async function readJournal(folder: string): Promise<JournalContent | undefined> {
  const path = join(folder, JOURNAL);
  try {
    return parseJournal(await readFile(path), path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw systemFailure(`the journal ${path} cannot be read`, error);
  }
}

/**
 * Takes the state folder, which is made if it is not there, and opens its journal.
 * @throws CommandFailure if another run has the folder, or its journal is damaged or of another rollover
 */
export async function openJournal(folder: string, head: HeadRecord): Promise<OpenedJournal> {
  await making(folder, async () => {
    if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) await chmod(folder, 0o700);
  });
  const lock = await making(folder, () => lockFolder(folder));
  try {
    const kept = await readJournal(folder);
    if (kept !== undefined) assertSameRollover(kept.head, head, folder);
    const file = await making(folder, () => openLogFile(join(folder, JOURNAL), kept?.length ?? 0));
    const journal = new Journal(file, lock);
    if (kept === undefined) {
      await journal.append(head);
      await syncFolder(folder);
    }
    return { journal, content: kept ?? { head, open: new Map(), ends: new Map(), length: 0 } };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function making<T>(folder: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof StorageError) {
      const message = error.message.replace("the data folder", "the state folder");
      throw new CommandFailure(1, `${message}; wait for that run to end, or stop it`, { cause: error });
    }
    throw systemFailure(`the state folder ${folder}`, error);
  }
}

function assertSameRollover(kept: HeadRecord, wanted: HeadRecord, folder: string): void {
  const meaning = ({ from, to, source }: HeadRecord): string => JSON.stringify([[...from].sort(), to, source]);
  if (meaning(kept) === meaning(wanted)) return;
  throw new CommandFailure(
    1,
    `the state folder ${folder} is of another rollover, of ${kept.source.path} from ${kept.from.join(", ")}; ` +
      "give another --state, or the options of that one",
  );
}

export class Journal {
  readonly #file: LogFile;
  readonly #lock: FolderLock;
  #pending: string[] = [];
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(file: LogFile, lock: FolderLock) {
    this.#file = file;
    this.#lock = lock;
  }

  /** Resolves when the record is on disk. @throws what writing throws, from then on for every record */
  append(record: HeadRecord | FileRecord): Promise<void> {
    this.#pending.push(`${JSON.stringify(record)}\n`);
    this.#next ??= this.#last = this.#last.then(() => this.#commit());
    return this.#next;
  }

  async #commit(): Promise<void> {
    const lines = this.#pending.splice(0);
    this.#next = undefined;
    this.#lock.assertHeld();
    await this.#file.append(utf8(lines.join("")));
    await this.#file.sync();
  }

  /** Lets go of the folder, whatever became of the records. */
  async close(): Promise<void> {
    await this.#last.catch(() => undefined); // whoever appended has heard of it
    await this.#file.close();
    await this.#lock.release();
  }
}
