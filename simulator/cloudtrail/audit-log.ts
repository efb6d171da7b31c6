/** The audit log: the newest records in memory, within a number and a size, and with a file all that it has room for. */
import { footprint } from "../footprint.js";
import { StorageError } from "../storage/storage-error.js";
import type { AuditFile } from "./audit-file.js";
import { parseAuditLine } from "./audit-line.js";
import type { Position } from "./audit-segments.js";
import { readBackwards, segmentPath } from "./audit-segments.js";
import { recordsOf } from "./recipients.js";
import type { AuditRecord, FinishedCall, Home } from "./records.js";
import type { ServiceEvent } from "./service-events.js";
import { serviceEventRecord } from "./service-events.js";

export interface AuditLogOptions {
  /** How many records are in memory, at least, if they have room. */
  readonly capacity?: number;
  /** What the records in memory may take, about. */
  readonly memoryBytes?: number;
  readonly file?: AuditFile;
  /** Told, once, of a line of the file that is no record; such lines are passed over. */
  readonly onInternalError?: (error: unknown) => void;
}

/** A record, and where it stands: what comes before it is asked for by that. */
export interface AuditEntry {
  readonly record: AuditRecord;
  readonly place: string;
}

const DEFAULT_CAPACITY = 10_000;
const DEFAULT_MEMORY_BYTES = 32 * 1024 ** 2;
const PLACE = /^(\d{1,12})\.(\d{1,15})$/;

export class AuditLog {
  readonly #home: Home;
  readonly #capacity: number;
  readonly #memoryBytes: number;
  readonly #file: AuditFile | undefined;
  #onInternalError: ((error: unknown) => void) | undefined;
  readonly #listeners = new Set<(record: AuditRecord) => void>();
  #records: AuditRecord[] = [];
  /** What each of them takes, and all together. */
  #sizes: number[] = [];
  #bytes = 0;
  /** How many records came before those in memory. */
  #forgotten = 0;

  constructor(home: Home, options: AuditLogOptions = {}) {
    const { capacity = DEFAULT_CAPACITY, memoryBytes = DEFAULT_MEMORY_BYTES, file, onInternalError } = options;
    this.#home = home;
    this.#capacity = capacity;
    this.#memoryBytes = memoryBytes;
    this.#file = file;
    this.#onInternalError = onInternalError;
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
    this.#add(recordsOf(call, this.#home));
  }

  /** Records what KMS has done by itself. @throws StorageError as `append` does */
  appendEvent(event: ServiceEvent): void {
    this.#add([serviceEventRecord(event)]);
  }

  #add(records: readonly AuditRecord[]): void {
    this.#file?.append(records.map((record) => JSON.stringify(record)).join("\n"));
    for (const record of records) {
      this.#keep(record);
      for (const listener of this.#listeners) listener(record);
    }
  }

  /** All that there are, newest first; or those before a place. A place that this log never gave has none before it. */
  async *newestFirst(before?: string): AsyncGenerator<AuditEntry> {
    const [, segment, offset] = PLACE.exec(before ?? "") ?? [];
    if (before !== undefined && segment === undefined) return;
    const position = before === undefined ? undefined : { segment: Number(segment), offset: Number(offset) };
    if (this.#file === undefined) yield* this.#fromMemory(position);
    else yield* this.#fromFile(this.#file, position);
  }

  *#fromMemory(before: Position | undefined): Iterable<AuditEntry> {
    const end = this.#forgotten + this.#records.length;
    for (let number = Math.min(before?.offset ?? end, end) - 1; number >= this.#forgotten; number--) {
      const record = this.#records[number - this.#forgotten];
      if (record !== undefined) yield { record, place: `0.${number}` };
    }
  }

  #keep(record: AuditRecord): void {
    const size = footprint(record);
    this.#records.push(record);
    this.#sizes.push(size);
    this.#bytes += size;
    // Half of all goes at once, so that appending stays cheap.
    if (this.#records.length >= 2 * this.#capacity) this.#forget(this.#records.length - this.#capacity);
    if (this.#bytes > this.#memoryBytes) this.#forget(this.#countOver(this.#memoryBytes / 2));
  }

  /** How many of the oldest have to go until the others take no more than `bytes`. */
  #countOver(bytes: number): number {
    let left = this.#bytes;
    let count = 0;
    for (const size of this.#sizes) {
      if (left <= bytes) break;
      left -= size;
      count += 1;
    }
    return count;
  }

  async *#fromFile({ folder }: AuditFile, before: Position | undefined): AsyncGenerator<AuditEntry> {
    for await (const { text, at } of readBackwards(folder, before)) {
      const record = parseAuditLine(text);
      if (record === undefined) this.#tellOfDamage(segmentPath(folder, at.segment), at.offset);
      else yield { record, place: `${at.segment}.${at.offset}` };
    }
  }

  #tellOfDamage(path: string, offset: number): void {
    this.#onInternalError?.(new StorageError(`${path} is damaged: the line at byte ${offset} is no audit record`));
    this.#onInternalError = undefined;
  }

  #forget(count: number): void {
    for (const size of this.#sizes.slice(0, count)) this.#bytes -= size;
    this.#sizes = this.#sizes.slice(count);
    this.#records = this.#records.slice(count);
    this.#forgotten += count;
  }
}
