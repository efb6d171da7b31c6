/** Group commit, crashes, damage, compaction and disks that fail. */
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LOG_HEADER } from "../../../simulator/storage/frames.js";
import type { JournalOptions } from "../../../simulator/storage/journal.js";
import { Journal, MAX_RECORD_LENGTH } from "../../../simulator/storage/journal.js";
import type { LogFile } from "../../../simulator/storage/log-file.js";
import { openLogFile } from "../../../simulator/storage/log-file.js";
import { testFolder } from "../../support/folder.js";

const newPath = (): string => join(testFolder(), "log");
const open = (path: string, options: Partial<JournalOptions> = {}) =>
  Journal.open({ path, compact: (records) => records, ...options });

async function written(path: string, ...records: string[]): Promise<void> {
  const { journal } = await open(path);
  for (const record of records) {
    journal.append(record);
    await journal.flush();
  }
  await journal.close();
}

const recordsIn = async (path: string): Promise<readonly string[]> => {
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
    expect(await recordsIn(path)).toEqual(["1", '{"a":"é"}']);
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
    expect(await recordsIn(path)).toEqual(Array.from({ length: 65 }, (_, i) => String(i)));
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
      const before = await recordsIn(path);
      expect(["1", "[2,2]", '"three"'].slice(0, before.length)).toEqual(before);
      await written(path, '"later"');
      expect(await recordsIn(path)).toEqual([...before, '"later"']);
    }
    writeFileSync(path, log);
    expect(await recordsIn(path)).toHaveLength(3);
  });

  it("refuses a log that was damaged before its end, and leaves it as it is", async () => {
    const path = newPath();
    await written(path, "1", "2", "3");
    const log = readFileSync(path);
    log.writeUInt8(log.readUInt8(LOG_HEADER.length + 20) ^ 1, LOG_HEADER.length + 20);
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
    writeFileSync(path, "nitro-decrypt log 2\n");
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
      const records = await recordsIn(path);
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
    expect(await recordsIn(path)).toEqual(kept);
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
  const options = { compact: (records: readonly string[]) => records.slice(-1), compactAtBytes: 400 };

  it("keeps what still says something, while records come in", async () => {
    const path = newPath();
    const { journal } = await open(path, options);
    for (let i = 0; i < 100; i++) {
      journal.append(`"record ${i}"`);
      await journal.flush();
      expect(statSync(path).size).toBeLessThan(500);
    }
    await journal.close();
    expect((await recordsIn(path)).at(-1)).toBe('"record 99"');
  });

  it("leaves the old log, whole, if it was cut off", async () => {
    const path = newPath();
    await written(path, "1", "2");
    writeFileSync(`${path}.new`, readFileSync(path).subarray(0, 30));
    expect(await recordsIn(path)).toEqual(["1", "2"]);
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
      const records = await recordsIn(path);
      expect(records).toEqual(Array.from({ length: records.length }, (_, i) => `"record ${i}"`));
    }
  });
});
