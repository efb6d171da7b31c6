/**
 * The audit log as files: `000001.jsonl`, `000002.jsonl` and so on, one CloudTrail record a line. A line never changes and
 * never moves, so a place in the log is a segment and a byte. What reads them may run in another process than what writes.
 */
import type { FileHandle } from "node:fs/promises";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "../storage/storage-error.js";

/** Where in the log a line begins. */
export interface Position {
  readonly segment: number;
  readonly offset: number;
}

/** A line without its end, where it begins and where the next one does. */
export interface AuditLine {
  readonly text: string;
  readonly at: Position;
  readonly next: Position;
}

export const START: Position = { segment: 0, offset: 0 };

const SEGMENT_NAME = /^(\d{6,12})\.jsonl$/;
const CHUNK_BYTES = 64 * 1024;
const LINE_END = 0x0a;

export const segmentPath = (folder: string, segment: number): string =>
  join(folder, `${String(segment).padStart(6, "0")}.jsonl`);

/** The numbers of the segments that there are, ascending. */
export function segmentsAmong(names: readonly string[]): readonly number[] {
  return names
    .flatMap((name) => SEGMENT_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** The lines from `from` to the present end, oldest first. A last line that is still being written is left for later. */
export async function* readForwards(folder: string, from: Position): AsyncGenerator<AuditLine> {
  for (const segment of segmentsAmong(await readdir(folder))) {
    if (segment < from.segment) continue;
    const file = await openSegment(folder, segment);
    if (file === undefined) continue;
    try {
      yield* linesFrom(file, { segment, offset: segment === from.segment ? from.offset : 0 });
    } finally {
      await file.close();
    }
  }
}

/** The lines before `before`, newest first; all if there is no such place. */
export async function* readBackwards(folder: string, before?: Position): AsyncGenerator<AuditLine> {
  for (const segment of [...segmentsAmong(await readdir(folder))].reverse()) {
    if (before !== undefined && segment > before.segment) continue;
    const file = await openSegment(folder, segment);
    if (file === undefined) continue;
    try {
      const { size } = await file.stat();
      const end = before !== undefined && segment === before.segment ? Math.min(before.offset, size) : size;
      yield* linesBefore(file, { segment, offset: end });
    } finally {
      await file.close();
    }
  }
}

/** Undefined for a segment that has just been given up, being the oldest of too many. */
async function openSegment(folder: string, segment: number): Promise<FileHandle | undefined> {
  try {
    return await open(segmentPath(folder, segment), "r");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function* linesFrom(file: FileHandle, { segment, offset }: Position): AsyncGenerator<AuditLine> {
  let lineStart = offset;
  /** Of the line that begins there, what came in earlier chunks. */
  let pieces: Buffer[] = [];
  for (let begin = offset; ; ) {
    const chunk = await readAt(file, begin, CHUNK_BYTES);
    if (chunk.length === 0) return;
    let used = 0;
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, used)) {
      const text = Buffer.concat([...pieces, chunk.subarray(used, end)]).toString();
      const next = begin + end + 1;
      yield { text, at: { segment, offset: lineStart }, next: { segment, offset: next } };
      [lineStart, pieces, used] = [next, [], end + 1];
    }
    pieces.push(chunk.subarray(used));
    begin += chunk.length;
  }
}

async function* linesBefore(file: FileHandle, { segment, offset }: Position): AsyncGenerator<AuditLine> {
  /** Of the line that ends before `next`, what came in later chunks, the last piece first; undefined before any ends. */
  let pieces: Buffer[] | undefined;
  let next = offset;
  const lineAt = (at: number, first: Buffer, others: readonly Buffer[]): AuditLine => ({
    text: Buffer.concat([first, ...[...others].reverse()]).toString(),
    at: { segment, offset: at },
    next: { segment, offset: next },
  });
  for (let begin = offset; begin > 0; ) {
    const length = Math.min(CHUNK_BYTES, begin);
    begin -= length;
    let rest = await readAt(file, begin, length);
    for (let end = rest.lastIndexOf(LINE_END); end !== -1; end = rest.lastIndexOf(LINE_END)) {
      const lineStart = begin + end + 1;
      if (pieces !== undefined) yield lineAt(lineStart, rest.subarray(end + 1), pieces);
      [next, pieces, rest] = [lineStart, [], rest.subarray(0, end)];
    }
    pieces?.push(rest);
  }
  if (pieces !== undefined) yield lineAt(0, Buffer.alloc(0), pieces);
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
