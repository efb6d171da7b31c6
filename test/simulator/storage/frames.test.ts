/** The bytes of a log: what is read back, where a crash cut it off, and what is damage. */

import { createSecretKey } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeFrames, encodeFrame, LOG_HEADER, MacChain, recordsIn } from "../../../simulator/storage/frames.js";

const commits = fc.array(fc.array(fc.json(), { minLength: 1, maxLength: 4 }), { maxLength: 6 });
const key = createSecretKey(Buffer.alloc(32, 1));
function logOf(records: readonly (readonly string[])[]): Buffer {
  const chain = new MacChain(key);
  return Buffer.concat([LOG_HEADER, ...records.map((lines, i) => encodeFrame(i + 1, lines, chain))]);
}

/** What is read, with the records in place of the frames. */
function read(log: Buffer) {
  const { frames, ...content } = decodeFrames(log);
  const chain = new MacChain(key);
  expect(frames.every((frame) => chain.accepts(frame))).toBe(true);
  return { records: recordsIn(frames), ...content };
}

describe("the frames of a log", () => {
  it("hold what was written", () => {
    const property = fc.property(commits, (written) => {
      const log = logOf(written);
      expect(read(log)).toEqual({ records: written.flat(), lastCommit: written.length, end: log.length });
    });
    fc.assert(property, { seed: 5, numRuns: 300 });
  });

  it("are read up to the last whole commit, at whichever byte the log ends", () => {
    const written = [['{"a":1}'], ['"é"', "[]"], ["null"]];
    const log = logOf(written);
    const ends = written.map((_, i) => logOf(written.slice(0, i + 1)).length);
    for (let length = LOG_HEADER.length; length <= log.length; length++) {
      const whole = ends.filter((end) => end <= length).length;
      expect(read(log.subarray(0, length))).toEqual({
        records: written.slice(0, whole).flat(),
        lastCommit: whole,
        end: whole === 0 ? LOG_HEADER.length : ends[whole - 1],
      });
    }
  });

  it("tell a changed bit in an earlier commit from one in the last", () => {
    const log = logOf([['"first"'], ['"second"']]);
    const second = logOf([['"first"']]).length;
    expect(decodeFrames(log).lastCommit).toBe(2);
    for (let bit = LOG_HEADER.length * 8; bit < log.length * 8; bit++) {
      const changed = Buffer.from(log);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const { lastCommit, laterCommit } = decodeFrames(changed);
      expect([lastCommit, laterCommit]).toEqual(bit < second * 8 ? [0, 2] : [1, undefined]);
    }
  });

  it("are not taken from what a record says", () => {
    const inside = encodeFrame(2, ['"inside"'], new MacChain(key)).toString("latin1");
    const log = logOf([[JSON.stringify(inside)]]);
    expect(read(log.subarray(0, log.length - 1))).toEqual({
      records: [],
      lastCommit: 0,
      end: LOG_HEADER.length,
    });
  });

  it("are read without an error from any bytes", () => {
    const property = fc.property(commits, fc.uint8Array({ maxLength: 80 }), fc.nat(), (written, noise, where) => {
      const log = logOf(written);
      const at = LOG_HEADER.length + (where % (log.length - LOG_HEADER.length + 1));
      const { records, end } = read(Buffer.concat([log.subarray(0, at), noise, log.subarray(at)]));
      expect(end).toBeLessThanOrEqual(log.length + noise.length);
      expect(written.flat().slice(0, records.length)).toEqual(records);
    });
    fc.assert(property, { seed: 5, numRuns: 2_000 });
  });
});
