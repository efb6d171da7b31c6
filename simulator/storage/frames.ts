/**
 * The bytes of a log: a header, then frames. A frame is what one commit wrote, all of its records or none of them:
 *
 *     ff 4e 44 00 | length (4) | commit number (8) | CRC-32 of what stands before and after it (4) | records
 *
 * Numbers are big-endian. A record is one line of JSON. Commits are numbered from 1 without a gap, and one begins only when
 * the one before it is on disk. So of a log that does not read to its end two things can be told apart: if nothing whole
 * comes after the fault, it is the commit that a crash cut off, which nobody was told of; if a whole later commit follows,
 * something was damaged that had been acknowledged.
 */
import { crc32 } from "node:zlib";

/** Begins every log. Its number is that of the format. */
export const LOG_HEADER = Buffer.from("nitro-decrypt log 1\n");

/** Occurs in no JSON text, and so in no record: UTF-8 has no byte ff. */
const MAGIC = Buffer.of(0xff, 0x4e, 0x44, 0x00);
const CRC_OFFSET = 16;
const FRAME_HEADER_BYTES = 20;

/** Lines of JSON as the frame of one commit. */
export function encodeFrame(commit: number, records: readonly string[]): Buffer {
  const payload = Buffer.from(records.map((record) => `${record}\n`).join(""));
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(payload.length, MAGIC.length);
  header.writeBigUInt64BE(BigInt(commit), 8);
  header.writeUInt32BE(crc32(payload, crc32(header.subarray(0, CRC_OFFSET))), CRC_OFFSET);
  return Buffer.concat([header, payload]);
}

/** What a log holds. */
export interface LogContent {
  /** Lines of JSON, oldest first. */
  readonly records: readonly string[];
  /** The number of the last whole commit. */
  readonly lastCommit: number;
  /** Where the last whole commit ends. What comes after is no commit, or not a whole one. */
  readonly end: number;
  /** The number of a whole commit behind `end`: the log was damaged after it had been written. */
  readonly laterCommit?: number;
}

/** Reads a log, whose header has been seen to be there. Never throws, whatever the bytes. */
export function decodeFrames(log: Buffer): LogContent {
  const records: string[] = [];
  let end = LOG_HEADER.length;
  let lastCommit = 0;
  for (let frame = frameAt(log, end); frame?.commit === lastCommit + 1; frame = frameAt(log, end)) {
    for (const line of linesOf(frame.payload)) records.push(line);
    lastCommit = frame.commit;
    end = frame.end;
  }
  const laterCommit = findCommitAfter(log, end);
  return { records, lastCommit, end, ...(laterCommit === undefined ? {} : { laterCommit }) };
}

interface Frame {
  readonly commit: number;
  readonly payload: Buffer;
  readonly end: number;
}

/** The whole frame that begins at `start`, if one does. */
function frameAt(log: Buffer, start: number): Frame | undefined {
  const header = log.subarray(start, start + FRAME_HEADER_BYTES);
  if (header.length < FRAME_HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const begin = start + FRAME_HEADER_BYTES;
  const end = begin + header.readUInt32BE(MAGIC.length);
  if (end > log.length) return undefined;
  const payload = log.subarray(begin, end);
  const sum = crc32(payload, crc32(header.subarray(0, CRC_OFFSET)));
  return sum === header.readUInt32BE(CRC_OFFSET)
    ? { commit: Number(header.readBigUInt64BE(8)), payload, end }
    : undefined;
}

function findCommitAfter(log: Buffer, start: number): number | undefined {
  for (let at = log.indexOf(MAGIC, start); at !== -1; at = log.indexOf(MAGIC, at + 1)) {
    const frame = frameAt(log, at);
    if (frame !== undefined) return frame.commit;
  }
  return undefined;
}

const linesOf = (payload: Buffer): readonly string[] => payload.toString().split("\n").slice(0, -1);
