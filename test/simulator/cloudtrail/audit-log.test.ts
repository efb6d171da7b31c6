/** The audit log in memory and in files: order, bounds, crashes, disks that fail. */
import { appendFileSync, ftruncateSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AuditFile } from "../../../simulator/cloudtrail/audit-file.js";
import { AuditLog } from "../../../simulator/cloudtrail/audit-log.js";
import type { AuditLine } from "../../../simulator/cloudtrail/audit-segments.js";
import { readBackwards, readForwards, START } from "../../../simulator/cloudtrail/audit-segments.js";
import { testFolder } from "../../support/folder.js";
import { NOW } from "../fixtures.js";

const HOME = { region: "us-east-1", accountId: "111122223333" };

function callNamed(eventName: string) {
  const trace = { parameters: {}, resources: [], recipient: undefined };
  return { eventName, readOnly: true, requestId: "", now: NOW, sourceIp: "", userAgent: "", trace, error: undefined };
}

async function namesOf(log: AuditLog, before?: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { record } of log.newestFirst(before)) names.push(record.eventName);
  return names;
}

async function collect(lines: AsyncIterable<AuditLine>): Promise<readonly AuditLine[]> {
  const all: AuditLine[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

const textsOf = async (lines: AsyncIterable<AuditLine>): Promise<readonly string[]> =>
  (await collect(lines)).map(({ text }) => text);

describe("the audit log in memory", () => {
  it("keeps the newest records within its bound", async () => {
    const log = new AuditLog(HOME, { capacity: 3 });
    for (let i = 0; i < 100; i++) log.append(callNamed(`call ${i}`));
    expect(log.records.length).toBeLessThan(6);
    expect(log.records.at(-1)?.eventName).toBe("call 99");
    expect((await namesOf(log)).slice(0, 3)).toEqual(["call 99", "call 98", "call 97"]);
  });

  it("goes on from a place, whatever has come since", async () => {
    const log = new AuditLog(HOME, { capacity: 4 });
    for (let i = 0; i < 4; i++) log.append(callNamed(`call ${i}`));
    const places: string[] = [];
    for await (const { place } of log.newestFirst()) places.push(place);
    log.append(callNamed("call 4"));
    expect(await namesOf(log, places[1])).toEqual(["call 1", "call 0"]);
    for (let i = 5; i < 20; i++) log.append(callNamed(`call ${i}`));
    expect(await namesOf(log, places[1])).toEqual([]);
    expect(await namesOf(log, "no place")).toEqual([]);
  });
});

describe("the audit log in files", () => {
  it("has more than memory, from before the start too", async () => {
    const folder = testFolder();
    const first = new AuditFile(folder);
    const before = new AuditLog(HOME, { file: first });
    for (let i = 0; i < 5; i++) before.append(callNamed(`call ${i}`));
    first.close();
    const second = new AuditFile(folder);
    const log = new AuditLog(HOME, { capacity: 1, file: second });
    for (let i = 5; i < 10; i++) log.append(callNamed(`call ${i}`));
    expect(await namesOf(log)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((i) => `call ${i}`));
    const places: string[] = [];
    for await (const { place } of log.newestFirst()) places.push(place);
    log.append(callNamed("call 10"));
    expect(await namesOf(log, places[6])).toEqual(["call 2", "call 1", "call 0"]);
    second.close();
    expect(statSync(join(folder, "000001.jsonl")).mode & 0o777).toBe(0o600);
  });

  it("begins a new file when one is full, and gives up the oldest", async () => {
    const folder = testFolder();
    const file = new AuditFile(folder, 64 * 100);
    for (let i = 0; i < 400; i++) file.append(`{"n":${i},"fill":"${"x".repeat(30)}"}`);
    file.close();
    const names = readdirSync(folder);
    expect(names).toHaveLength(64);
    expect(names[0]).not.toBe("000001.jsonl");
    for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(100);
    const texts = await textsOf(readForwards(folder, START));
    expect(texts.at(-1)).toContain('"n":399');
    expect(await textsOf(readBackwards(folder))).toEqual([...texts].reverse());
    const again = new AuditFile(folder, 64 * 100);
    again.append("{}");
    again.close();
    expect((await textsOf(readBackwards(folder)))[0]).toBe("{}");
  });

  it("is read alike in both directions, from every place", async () => {
    const lines = fc.array(
      fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => JSON.stringify(text)),
      {
        maxLength: 20,
      },
    );
    await fc.assert(
      fc.asyncProperty(lines, async (texts) => {
        const folder = testFolder();
        const file = new AuditFile(folder, 64 * 120);
        for (const text of texts) file.append(text);
        file.close();
        const forwards = await collect(readForwards(folder, START));
        expect(forwards.map(({ text }) => text)).toEqual(texts);
        expect(await collect(readBackwards(folder))).toEqual([...forwards].reverse());
        for (const [i, { at, next }] of forwards.entries()) {
          expect(await textsOf(readForwards(folder, next))).toEqual(texts.slice(i + 1));
          expect(await textsOf(readBackwards(folder, at))).toEqual(texts.slice(0, i).reverse());
        }
      }),
      { seed: 5, numRuns: 30 },
    );
  });

  it("is read across the pieces in which it comes from the disk", async () => {
    const folder = testFolder();
    const file = new AuditFile(folder);
    const texts = Array.from({ length: 12 }, (_, i) => JSON.stringify(String(i).repeat(i * 4_000)));
    for (const text of texts) file.append(text);
    file.close();
    expect(await textsOf(readForwards(folder, START))).toEqual(texts);
    expect(await textsOf(readBackwards(folder))).toEqual([...texts].reverse());
  });

  it("goes on after a crash at any byte of a line", async () => {
    const folder = testFolder();
    const path = join(folder, "000001.jsonl");
    const whole = '{"n":1}\n{"n":2}\n';
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(path, whole.slice(0, length));
      const kept = whole.slice(0, length).split("\n").slice(0, -1);
      expect(await textsOf(readBackwards(folder))).toEqual([...kept].reverse());
      const file = new AuditFile(folder);
      file.append('{"n":3}');
      file.close();
      expect(await textsOf(readForwards(folder, START))).toEqual([...kept, '{"n":3}']);
    }
  });

  it("leaves a line that is being written for later", async () => {
    const folder = testFolder();
    const path = join(folder, "000001.jsonl");
    writeFileSync(path, '{"n":1}\n{"n"');
    const [line] = await collect(readForwards(folder, START));
    expect(line?.text).toBe('{"n":1}');
    expect(await textsOf(readForwards(folder, line?.next ?? START))).toEqual([]);
    appendFileSync(path, ":2}\n");
    expect(await textsOf(readForwards(folder, line?.next ?? START))).toEqual(['{"n":2}']);
  });

  it("records a call nowhere if the file does not take it", async () => {
    const folder = testFolder();
    const file = new AuditFile(folder);
    const log = new AuditLog(HOME, { file });
    log.append(callNamed("kept"));
    file.close();
    expect(() => log.append(callNamed("lost"))).toThrow(`the audit log in ${folder} is closed`);
    expect(log.records).toHaveLength(1);
    expect(readFileSync(join(folder, "000001.jsonl"), "utf8").split("\n")).toHaveLength(2);
  });

  it("passes over a line that is no record, and says so once", async () => {
    const folder = testFolder();
    const file = new AuditFile(folder);
    const told: unknown[] = [];
    const log = new AuditLog(HOME, { file, onInternalError: (error) => told.push(error) });
    log.append(callNamed("first"));
    for (const line of ["{", "null", "{}", '{"eventTime":"2026-01-01T00:00:00Z"}']) file.append(line);
    log.append(callNamed("last"));
    for (let i = 0; i < 2; i++) expect(await namesOf(log)).toEqual(["last", "first"]);
    file.close();
    expect(told).toHaveLength(1);
    expect(String(told[0])).toContain(`${join(folder, "000001.jsonl")} is damaged: the line at byte `);
  });

  it("puts no line behind half a line, if the disk lets it be taken away neither", async () => {
    const folder = testFolder();
    const failing = { write: false, truncate: false };
    const full = new Error("ENOSPC: no space left on device, write");
    const file = new AuditFile(folder, undefined, {
      write: (fd, bytes, offset) => {
        if (!failing.write) return writeSync(fd, bytes, offset);
        writeSync(fd, bytes, offset, 3);
        throw full;
      },
      truncate: (fd, length) => {
        if (failing.truncate) throw new Error("EIO: i/o error, ftruncate");
        ftruncateSync(fd, length);
      },
    });
    file.append('{"n":1}');
    failing.write = true;
    failing.truncate = true;
    expect(() => file.append('{"n":2}')).toThrow("ENOSPC");
    expect(await textsOf(readBackwards(folder))).toEqual(['{"n":1}']);
    failing.write = false;
    expect(() => file.append('{"n":3}')).toThrow("EIO");
    failing.truncate = false;
    file.append('{"n":4}');
    file.close();
    expect(readFileSync(join(folder, "000001.jsonl"), "utf8")).toBe('{"n":1}\n{"n":4}\n');
  });

  it("takes no line that is longer than a record can be", () => {
    const file = new AuditFile(testFolder());
    file.append("x".repeat(1024 * 1024 - 1));
    expect(() => file.append("x".repeat(1024 * 1024))).toThrow("an audit record of 1048577 bytes is too long");
    file.close();
  });

  it("is read in a time that grows with its length, however long a line is", async () => {
    const folder = testFolder();
    const long = "x".repeat(96 * 1024 * 1024);
    writeFileSync(join(folder, "000001.jsonl"), `1\n${long}\n2\n`);
    const lengths = async (lines: AsyncIterable<AuditLine>) => (await textsOf(lines)).map(({ length }) => length);
    expect(await lengths(readBackwards(folder))).toEqual([1, long.length, 1]);
    expect(await lengths(readForwards(folder, START))).toEqual([1, long.length, 1]);
  });
});
