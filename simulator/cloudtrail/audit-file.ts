/**
 * Appends to the audit log of a data folder. A line has reached the kernel when `append` returns, so the end of the process
 * takes none away; a power cut may take those of the last seconds, since a segment is synced only when it is full or closed.
 * The oldest segments are given up when there is more than the log may take.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { StorageError } from "../storage/storage-error.js";
import { segmentPath, segmentsAmong } from "./audit-segments.js";

const DEFAULT_MAX_BYTES = 1024 ** 3;
const SEGMENTS = 64;
const CHUNK_BYTES = 64 * 1024;
const LINE_END = 0x0a;

/** More than a record can be. */
const MAX_LINE_BYTES = 1024 * 1024;

/** What the log asks of the disk at each line; a test gives it one that fails. */
export interface AuditDisk {
  /** write(2): may take less than it is given. Returns how much. */
  write(file: number, bytes: Uint8Array, offset: number): number;
  truncate(file: number, length: number): void;
}

const SYSTEM_CALLS: AuditDisk = { write: writeSync, truncate: ftruncateSync };

export class AuditFile {
  readonly folder: string;
  readonly #segmentBytes: number;
  #segment: number;
  /** Undefined once it is closed, or another could not be begun: its number may be another file's by then. */
  #file: number | undefined;
  /** How much of the present segment is whole lines. */
  #length: number;
  /** Whether a part of a line may stand behind that. */
  #torn = false;

  readonly #disk: AuditDisk;

  /** Goes on with the log in `folder`, which is made if it is not there and may take `maxBytes` in all. */
  constructor(folder: string, maxBytes: number = DEFAULT_MAX_BYTES, disk: AuditDisk = SYSTEM_CALLS) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.folder = folder;
    this.#disk = disk;
    this.#segmentBytes = Math.ceil(maxBytes / SEGMENTS);
    this.#segment = segmentsAmong(readdirSync(folder)).at(-1) ?? 1;
    const file = openSegment(folder, this.#segment);
    this.#file = file;
    this.#length = wholeLines(file);
    ftruncateSync(file, this.#length); // of a line that a crash cut off
  }

  /** Adds a line, or several at once. @throws StorageError if too long or not written; then nothing of it is read */
  append(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    if (bytes.length > MAX_LINE_BYTES) throw new StorageError(`an audit record of ${bytes.length} bytes is too long`);
    try {
      this.#cutTorn();
      if (this.#length > 0 && this.#length + bytes.length > this.#segmentBytes) this.#beginSegment();
      this.#write(bytes);
    } catch (cause) {
      if (cause instanceof StorageError) throw cause;
      const path = segmentPath(this.folder, this.#segment);
      throw new StorageError(`writing to ${path} failed: ${String(cause)}`, { cause });
    }
  }

  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSynced(file);
  }

  #write(bytes: Uint8Array): void {
    const file = this.#open();
    this.#torn = true;
    for (let written = 0; written < bytes.length; ) written += this.#disk.write(file, bytes, written);
    this.#torn = false;
    this.#length += bytes.length;
  }

  /** Takes away what a failed write left; until then no line may come behind it. */
  #cutTorn(): void {
    if (!this.#torn) return;
    this.#disk.truncate(this.#open(), this.#length);
    this.#torn = false;
  }

  #open(): number {
    if (this.#file === undefined) throw new StorageError(`the audit log in ${this.folder} is closed`);
    return this.#file;
  }

  #beginSegment(): void {
    const full = this.#open();
    this.#file = undefined;
    closeSynced(full);
    this.#file = openSegment(this.folder, this.#segment + 1);
    this.#segment += 1;
    this.#length = 0;
    for (const old of segmentsAmong(readdirSync(this.folder)).slice(0, -SEGMENTS)) {
      rmSync(segmentPath(this.folder, old), { force: true });
    }
  }
}

const openSegment = (folder: string, segment: number): number => openSync(segmentPath(folder, segment), "a+", 0o600);

function closeSynced(file: number): void {
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** How long the file is without what stands behind its last line end. */
function wholeLines(file: number): number {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let end = fstatSync(file).size;
  while (end > 0) {
    const begin = Math.max(0, end - CHUNK_BYTES);
    const length = readSync(file, chunk, 0, end - begin, begin);
    const last = chunk.subarray(0, length).lastIndexOf(LINE_END);
    if (last !== -1) return begin + last + 1;
    end = begin;
  }
  return 0;
}
