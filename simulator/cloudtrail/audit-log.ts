/** The audit log: the newest records in memory, and with a file all that it has room for. */
import type { AuditFile } from "./audit-file.js";
import type { Position } from "./audit-segments.js";
import { readBackwards } from "./audit-segments.js";
import type { AuditRecord, FinishedCall, Home } from "./records.js";
import { recordOf } from "./records.js";

export interface AuditLogOptions {
  /** How many records are in memory, at least. */
  readonly capacity?: number;
  readonly file?: AuditFile;
}

/** A record, and where it stands: what comes before it is asked for by that. */
export interface AuditEntry {
  readonly record: AuditRecord;
  readonly place: string;
}

const DEFAULT_CAPACITY = 10_000;
const PLACE = /^(\d{1,12})\.(\d{1,15})$/;

export class AuditLog {
  readonly #home: Home;
  readonly #capacity: number;
  readonly #file: AuditFile | undefined;
  readonly #listeners = new Set<(record: AuditRecord) => void>();
  #records: AuditRecord[] = [];
  /** How many records came before those in memory. */
  #forgotten = 0;

  constructor(home: Home, { capacity = DEFAULT_CAPACITY, file }: AuditLogOptions = {}) {
    this.#home = home;
    this.#capacity = capacity;
    this.#file = file;
  }

  /** Those in memory, oldest first. */
  get records(): readonly AuditRecord[] {
    return [...this.#records];
  }

  /** Hands every further record to `listener`, until the function that this returns is called. */
  subscribe(listener: (record: AuditRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Records a call. @throws StorageError if the file does not take it; then it is recorded nowhere */
  append(call: FinishedCall): void {
    const record = recordOf(call, this.#home);
    this.#file?.append(JSON.stringify(record));
    this.#records.push(record);
    for (const listener of this.#listeners) listener(record);
    // Twice the capacity before it is cut, so that appending stays cheap.
    if (this.#records.length >= 2 * this.#capacity) this.#forget(this.#records.length - this.#capacity);
  }

  /** All that there are, newest first; or those before a place. A place that this log never gave has none before it. */
  async *newestFirst(before?: string): AsyncGenerator<AuditEntry> {
    const [, segment, offset] = PLACE.exec(before ?? "") ?? [];
    if (before !== undefined && segment === undefined) return;
    const position = before === undefined ? undefined : { segment: Number(segment), offset: Number(offset) };
    if (this.#file === undefined) yield* this.#fromMemory(position);
    else yield* fromFile(this.#file, position);
  }

  *#fromMemory(before: Position | undefined): Iterable<AuditEntry> {
    const end = this.#forgotten + this.#records.length;
    for (let number = Math.min(before?.offset ?? end, end) - 1; number >= this.#forgotten; number--) {
      const record = this.#records[number - this.#forgotten];
      if (record !== undefined) yield { record, place: `0.${number}` };
    }
  }

  #forget(count: number): void {
    this.#records = this.#records.slice(count);
    this.#forgotten += count;
  }
}

async function* fromFile({ folder }: AuditFile, before: Position | undefined): AsyncGenerator<AuditEntry> {
  for await (const { text, at } of readBackwards(folder, before)) {
    yield { record: JSON.parse(text) as AuditRecord, place: `${at.segment}.${at.offset}` };
  }
}
