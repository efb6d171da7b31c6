/** Group commit, crashes, damage, compaction and disks that fail. */
import { createSecretKey, randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Frame } from "../../../simulator/storage/frames.js";
import { decodeFrames, encodeFrame, LOG_HEADER, MacChain, recordsIn } from "../../../simulator/storage/frames.js";
import type { JournalOptions } from "../../../simulator/storage/journal.js";
import { Journal, MAX_RECORD_LENGTH } from "../../../simulator/storage/journal.js";
import type { LogFile } from "../../../simulator/storage/log-file.js";
import { openLogFile } from "../../../simulator/storage/log-file.js";
import { testFolder } from "../../support/folder.js";
import { newMasterKey } from "../../support/master-key.js";

const MAC_BYTES = 32;
const newPath = (): string => join(testFolder(), "log");
const masterKey = newMasterKey();
const open = (path: string, options: Partial<JournalOptions> = {}) =>
  Journal.open({ path, masterKey: () => masterKey, compact: (records) => records, ...options });

async function written(path: string, ...records: string[]): Promise<void> {
  const { journal } = await open(path);
  for (const record of records) {
    journal.append(record);
    await journal.flush();
  }
  await journal.close();
}

const contentOf = async (path: string): Promise<readonly string[]> => {
  const { journal, records } = await open(path);
  await journal.close();
  return records;
};

/** A file that counts its commits, and whose disk fails when it is told to. */
function countingFile() {
  const calls = {
    appends: 0,
    syncs: 0,
    failure: undefined as Error | undefined,
    failing: "append" as "append" | "sync",
  };
  const openFile = async (path: string, length: number): Promise<LogFile> => {
    const file = await openLogFile(path, length);
    return {
      ...file,
      append: async (bytes) => {
        calls.appends++;
        if (calls.failure !== undefined && calls.failing === "append") throw calls.failure;
        await file.append(bytes);
      },
      sync: async () => {
        calls.syncs++;
        if (calls.failure !== undefined && calls.failing === "sync") throw calls.failure;
        await file.sync();
      },
    };
  };
  return { calls, openFile };
}

describe("a journal", () => {
  it("gives back what was flushed, and is readable by nobody else", async () => {
    const path = newPath();
    await written(path, "1", '{"a":"é"}');
    expect(await contentOf(path)).toEqual(["1", '{"a":"é"}']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("commits together what waits together", async () => {
    const { calls, openFile } = countingFile();
    const path = newPath();
    const { journal } = await open(path, { openFile });
    const before = calls.syncs;
    journal.append("0");
    const first = journal.flush();
    await Promise.resolve(); // the first commit is under way
    const others = Array.from({ length: 64 }, (_, i) => {
      journal.append(String(i + 1));
      return journal.flush();
    });
    await Promise.all([first, ...others]);
    expect(calls.syncs - before).toBe(2);
    await journal.close();
    expect(await contentOf(path)).toEqual(Array.from({ length: 65 }, (_, i) => String(i)));
  });

  it("has nothing to wait for when nothing is pending", async () => {
    const { calls, openFile } = countingFile();
    const { journal } = await open(newPath(), { openFile });
    const { syncs } = calls;
    await journal.flush();
    expect(calls.syncs).toBe(syncs);
    await journal.close();
  });

  it("goes on after a crash at any byte, from the last whole commit", async () => {
    const path = newPath();
    await written(path, "1", "[2,2]", '"three"');
    const log = readFileSync(path);
    for (let length = 0; length <= log.length; length++) {
      writeFileSync(path, log.subarray(0, length));
      const before = await contentOf(path);
      expect(["1", "[2,2]", '"three"'].slice(0, before.length)).toEqual(before);
      await written(path, '"later"');
      expect(await contentOf(path)).toEqual([...before, '"later"']);
    }
    writeFileSync(path, log);
    expect(await contentOf(path)).toHaveLength(3);
  });

  it("refuses a log that was damaged before its end, and leaves it as it is", async () => {
    const path = newPath();
    await written(path, "1", "2", "3");
    const log = readFileSync(path);
    log.writeUInt8(log.readUInt8(LOG_HEADER.length + 52) ^ 1, LOG_HEADER.length + 52);
    writeFileSync(path, log);
    await expect(open(path)).rejects.toThrow(
      `${path} is damaged at byte ${LOG_HEADER.length}: commit 1 cannot be read, and commit 2 behind it can.`,
    );
    expect(readFileSync(path)).toEqual(log);
  });

  it("refuses a log that was closed in good order and damaged in its last record", async () => {
    const path = newPath();
    await written(path, '"first"', '"last"');
    const log = readFileSync(path);
    const at = log.indexOf('"last"');
    log.writeUInt8(log.readUInt8(at) ^ 1, at);
    writeFileSync(path, log);
    await expect(open(path)).rejects.toThrow("commit 2 cannot be read, and commit 3 behind it can.");
    expect(readFileSync(path)).toEqual(log);
  });

  it("refuses a file that is no log", async () => {
    const path = newPath();
    writeFileSync(path, "nitro-decrypt log 1\n");
    await expect(open(path)).rejects.toThrow(`${path} is not a log of this version of nitro-decrypt`);
  });

  it.each(["append", "sync"] as const)(
    "acknowledges nothing from a failed %s on, and keeps what it had",
    async (failing) => {
      const { calls, openFile } = countingFile();
      const path = newPath();
      const { journal } = await open(path, { openFile });
      journal.append('"kept"');
      await journal.flush();
      calls.failing = failing;
      calls.failure = new Error("ENOSPC: no space left on device, write");
      journal.append('"lost"');
      await expect(journal.flush()).rejects.toThrow("ENOSPC");
      calls.failure = undefined;
      await expect(journal.flush()).rejects.toThrow(`writing to ${path} failed`);
      journal.append('"after"');
      await expect(journal.flush()).rejects.toThrow(`writing to ${path} failed`);
      await expect(journal.close()).rejects.toThrow("ENOSPC");
      const records = await contentOf(path);
      expect(records[0]).toBe('"kept"');
      expect(records).not.toContain('"after"');
    },
  );

  it("gives no commit number twice when it is closed while records come in", async () => {
    const path = newPath();
    const { journal } = await open(path);
    const kept: string[] = [];
    const refusals: string[] = [];
    const append = async (record: string): Promise<void> => {
      journal.append(record);
      await journal.flush().then(
        () => kept.push(record),
        (error: Error) => refusals.push(error.message),
      );
    };
    const calls = [append("1"), append("2")];
    await Promise.resolve(); // the first commit is under way
    calls.push(append("3"));
    let closed = false;
    const closing = journal.close().finally(() => {
      closed = true;
    });
    for (let turn = 4; !closed; turn++) {
      calls.push(append(String(turn)));
      await new Promise(setImmediate);
    }
    calls.push(append("late"));
    await Promise.all([closing, ...calls, journal.close()]);
    expect(kept.slice(0, 3)).toEqual(["1", "2", "3"]);
    expect(new Set(refusals)).toEqual(new Set([`${path} is closed`]));
    expect(await contentOf(path)).toEqual(kept);
  });

  it("writes nothing behind what another process has written, nor to a file that was replaced", async () => {
    const appended = newPath();
    const first = await open(appended);
    appendFileSync(appended, "x");
    first.journal.append("1");
    await expect(first.journal.flush()).rejects.toThrow(
      `writing to ${appended} failed: StorageError: it was changed or replaced by another process`,
    );
    expect(statSync(appended).size).toBe(LOG_HEADER.length + 1);
    const removed = newPath();
    const second = await open(removed);
    rmSync(removed);
    second.journal.append("1");
    await expect(second.journal.flush()).rejects.toThrow("it was changed or replaced by another process");
    await expect(first.journal.close()).rejects.toThrow("replaced");
    await expect(second.journal.close()).rejects.toThrow("replaced");
  });

  it("refuses a log in which a commit was changed, moved, taken out of the middle, or put under another key", async () => {
    const path = newPath();
    await written(path, '"a"', '"b"', '"c"');
    const whole = readFileSync(path);
    const [a, b, c, end] = decodeFrames(whole).frames;
    const own = createSecretKey(randomBytes(32));
    const forged = (payloads: readonly (Frame | undefined)[]): Buffer => {
      const chain = new MacChain(own);
      const frames = payloads.map((frame, i) =>
        encodeFrame(i + 1, recordsIn(frame === undefined ? [] : [frame]), chain),
      );
      return Buffer.concat([LOG_HEADER, ...frames]);
    };
    const withMacsOf = (log: Buffer, macs: readonly (Frame | undefined)[]): Buffer => {
      const copy = Buffer.from(log);
      for (const [i, frame] of decodeFrames(log).frames.entries()) {
        const start = frame.end - frame.payload.length - MAC_BYTES;
        macs[i]?.mac.copy(copy, start);
        const body = copy.subarray(start, frame.end);
        copy.writeUInt32BE(crc32(body, crc32(frame.begin)), start - 4);
      }
      return copy;
    };
    for (const [order, first] of [
      [[a, c, end], 2],
      [[b, a, c, end], 1],
      [[a, a, c, end], 2],
      [[b, c, end], 1],
    ] as const) {
      const log = withMacsOf(forged(order), order);
      expect(decodeFrames(log)).toMatchObject({ lastCommit: order.length, end: log.length });
      writeFileSync(path, log);
      await expect(open(path)).rejects.toThrow(`commit ${first} of ${path} was not written under this master key`);
      expect(readFileSync(path)).toEqual(log);
    }
    writeFileSync(path, withMacsOf(forged([a, b, c, end]), [a, b, c, end]));
    expect(await contentOf(path)).toEqual(['"a"', '"b"', '"c"']);
    await expect(open(path, { masterKey: newMasterKey })).rejects.toThrow("commit 1 of");
  });

  it("refuses a record above its bound", async () => {
    const { journal } = await open(newPath());
    journal.append("a".repeat(MAX_RECORD_LENGTH));
    await journal.flush();
    journal.append("a".repeat(MAX_RECORD_LENGTH + 1));
    await expect(journal.flush()).rejects.toThrow("a record of 4194305 characters is too long");
    await expect(journal.close()).rejects.toThrow("too long");
  });
});

describe("compaction", () => {
  const options = { compact: (records: readonly string[]) => records.slice(-1), compactAtBytes: 700 };

  it("keeps what still says something, while records come in", async () => {
    const path = newPath();
    const { journal } = await open(path, options);
    for (let i = 0; i < 100; i++) {
      journal.append(`"record ${i}"`);
      await journal.flush();
      expect(statSync(path).size).toBeLessThan(800);
    }
    await journal.close();
    expect((await contentOf(path)).at(-1)).toBe('"record 99"');
  });

  it("leaves the old log, whole, if it was cut off", async () => {
    const path = newPath();
    await written(path, "1", "2");
    writeFileSync(`${path}.new`, readFileSync(path).subarray(0, 30));
    expect(await contentOf(path)).toEqual(["1", "2"]);
    expect(() => statSync(`${path}.new`)).toThrow("ENOENT");
  });

  it("makes a log that goes on after a crash at any byte", async () => {
    const path = newPath();
    const { journal } = await open(path, { ...options, compact: (records) => records });
    for (let i = 0; i < 12; i++) {
      journal.append(`"record ${i}"`);
      await journal.flush();
    }
    await journal.close();
    const log = readFileSync(path);
    for (let length = log.length; length > log.length - 60; length--) {
      truncateSync(path, length);
      const records = await contentOf(path);
      expect(records).toEqual(Array.from({ length: records.length }, (_, i) => `"record ${i}"`));
    }
  });
});
