/**
 * The bytes of a log: a header, then frames. A frame is what one commit wrote, all of its records or none of them:
 *
 *     ff 4e 44 00 | length (4) | commit number (8) | CRC-32 of what stands before and after it (4) | MAC (32) | records
 *
 * Numbers are big-endian. A record is one line of JSON. Commits are numbered from 1 without a gap, and one begins only when
 * the one before it is on disk. So of a log that does not read to its end two things can be told apart: if nothing whole
 * comes after the fault, it is the commit that a crash cut off, which nobody was told of; if a whole later commit follows,
 * something was damaged that had been acknowledged.
 *
 * The CRC is against accidents. Against changes on purpose is the MAC, which covers the MAC of the commit before, too: no
 * commit can be changed, moved or taken out of the middle. That the last ones were taken away cannot be seen.
 */
import type { KeyObject } from "node:crypto";
import { createHmac, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

/** Begins every log. Its number is that of the format. */
export const LOG_HEADER = Buffer.from("nitro-decrypt log 2\n");

/** Occurs in no JSON text, and so in no record: UTF-8 has no byte ff. */
const MAGIC = Buffer.of(0xff, 0x4e, 0x44, 0x00);
const CRC_OFFSET = 16;
const MAC_OFFSET = 20;
const MAC_BYTES = 32;
const FRAME_HEADER_BYTES = MAC_OFFSET + MAC_BYTES;

/** The MACs of a log, one commit after the other: HMAC-SHA-256 over the MAC before, what the frame begins with, and its records. */
export class MacChain {
  readonly #key: KeyObject;
  #last: Buffer = Buffer.alloc(MAC_BYTES);

  constructor(key: KeyObject) {
    this.#key = key;
  }

  /** The MAC of the next commit, from which the chain goes on. */
  extend(begin: Uint8Array, payload: Uint8Array): Buffer {
    this.#last = createHmac("sha256", this.#key).update(this.#last).update(begin).update(payload).digest();
    return this.#last;
  }

  /** Goes on with a frame that was read; false if it is not the next one of this chain. */
  accepts({ begin, payload, mac }: Frame): boolean {
    return timingSafeEqual(mac, this.extend(begin, payload));
  }
}

/** Lines of JSON as the frame of one commit, the next one of the chain. */
export function encodeFrame(commit: number, records: readonly string[], chain: MacChain): Buffer {
  const payload = Buffer.from(records.map((record) => `${record}\n`).join(""));
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(payload.length, MAGIC.length);
  header.writeBigUInt64BE(BigInt(commit), 8);
  chain.extend(header.subarray(0, CRC_OFFSET), payload).copy(header, MAC_OFFSET);
  header.writeUInt32BE(checksumOf(header, payload), CRC_OFFSET);
  return Buffer.concat([header, payload]);
}

const checksumOf = (header: Buffer, payload: Buffer): number =>
  crc32(payload, crc32(header.subarray(MAC_OFFSET), crc32(header.subarray(0, CRC_OFFSET))));

/** What a log holds. */
export interface LogContent {
  /** Its whole commits, oldest first; whether they are ours a `MacChain` tells. */
  readonly frames: readonly Frame[];
  /** The number of the last whole commit. */
  readonly lastCommit: number;
  /** Where the last whole commit ends. What comes after is no commit, or not a whole one. */
  readonly end: number;
  /** The number of a whole commit behind `end`: the log was damaged after it had been written. */
  readonly laterCommit?: number;
}

/** Reads a log, whose header has been seen to be there. Never throws, whatever the bytes. */
export function decodeFrames(log: Buffer): LogContent {
  const frames: Frame[] = [];
  let end = LOG_HEADER.length;
  let lastCommit = 0;
  for (let frame = frameAt(log, end); frame?.commit === lastCommit + 1; frame = frameAt(log, end)) {
    frames.push(frame);
    lastCommit = frame.commit;
    end = frame.end;
  }
  const laterCommit = findCommitAfter(log, end);
  return { frames, lastCommit, end, ...(laterCommit === undefined ? {} : { laterCommit }) };
}

export interface Frame {
  readonly commit: number;
  /** What stands before its CRC. */
  readonly begin: Buffer;
  readonly mac: Buffer;
  /** The records. */
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
  if (checksumOf(header, payload) !== header.readUInt32BE(CRC_OFFSET)) return undefined;
  const commit = Number(header.readBigUInt64BE(8));
  return { commit, begin: header.subarray(0, CRC_OFFSET), mac: header.subarray(MAC_OFFSET), payload, end };
}

function findCommitAfter(log: Buffer, start: number): number | undefined {
  for (let at = log.indexOf(MAGIC, start); at !== -1; at = log.indexOf(MAGIC, at + 1)) {
    const frame = frameAt(log, at);
    if (frame !== undefined) return frame.commit;
  }
  return undefined;
}

/** The lines of JSON in frames, oldest first. */
export const recordsIn = (frames: readonly Frame[]): readonly string[] =>
  frames.flatMap(({ payload }) => payload.toString().split("\n").slice(0, -1));
