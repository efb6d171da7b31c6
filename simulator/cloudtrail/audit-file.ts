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

export class AuditFile {
  readonly folder: string;
  readonly #segmentBytes: number;
  #segment: number;
  /** Undefined once it is closed, or another could not be begun: its number may be another file's by then. */
  #file: number | undefined;
  /** Of the present segment. Every byte of it belongs to a whole line. */
  #length: number;

  /** Goes on with the log in `folder`, which is made if it is not there and may take `maxBytes` in all. */
  constructor(folder: string, maxBytes: number = DEFAULT_MAX_BYTES) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.folder = folder;
    this.#segmentBytes = Math.ceil(maxBytes / SEGMENTS);
    this.#segment = segmentsAmong(readdirSync(folder)).at(-1) ?? 1;
    const file = openSegment(folder, this.#segment);
    this.#file = file;
    this.#length = wholeLines(file);
    ftruncateSync(file, this.#length); // of a line that a crash cut off
  }

  /** Adds a line, or several at once. @throws StorageError if it could not be written; then nothing of it is there */
  append(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    if (this.#length > 0 && this.#length + bytes.length > this.#segmentBytes) this.#beginSegment();
    const file = this.#open();
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
    } catch (cause) {
      ftruncateSync(file, this.#length);
      throw new StorageError(`writing to ${segmentPath(this.folder, this.#segment)} failed: ${String(cause)}`, {
        cause,
      });
    }
    this.#length += bytes.length;
  }

  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSynced(file);
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
