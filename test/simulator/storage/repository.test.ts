/** Collections in a folder, and that one process at a time has it. */
import { spawnSync } from "node:child_process";
import { createSecretKey } from "node:crypto";
import { chmodSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lockFolder } from "../../../simulator/storage/folder-lock.js";
import { encodeFrame, LOG_HEADER, MacChain } from "../../../simulator/storage/frames.js";
import { assertPrivate } from "../../../simulator/storage/private.js";
import { identityOf } from "../../../simulator/storage/process-identity.js";
import { openRepository } from "../../../simulator/storage/repository.js";
import { StorageError } from "../../../simulator/storage/storage-error.js";
import { testFolder } from "../../support/folder.js";
import { newMasterKey } from "../../support/master-key.js";

const masterKey = newMasterKey();
const openIn = (folder: string, options: { compactAtBytes?: number } = {}) =>
  openRepository(folder, { masterKey: () => masterKey, ...options });

describe("a repository", () => {
  it("has the last value of every id, in the order in which the ids first came", async () => {
    const folder = join(testFolder(), "data");
    const first = await openIn(folder);
    first.put("key", "b", { n: 1 });
    first.put("key", "a", [null, "é\n"]);
    first.put("alias", "b", "another collection");
    first.put("key", "b", { n: 2 });
    first.put("key", "c", 3);
    first.delete("key", "c");
    first.delete("key", "never there");
    await first.close();
    const second = await openIn(folder);
    expect([...second.takeEntries("key")]).toEqual([
      ["b", { n: 2 }],
      ["a", [null, "é\n"]],
    ]);
    expect([...second.takeEntries("alias")]).toEqual([["b", "another collection"]]);
    expect(second.takeEntries("nothing").size).toBe(0);
    await second.close();
  });

  it("stays short, however often a value changes", async () => {
    const folder = testFolder();
    const first = await openIn(folder, { compactAtBytes: 4_096 });
    for (let i = 0; i < 300; i++) {
      first.put("key", `k${i % 10}`, { i, text: "x".repeat(50) });
      await first.flush();
    }
    await first.close();
    expect(statSync(join(folder, "state.log")).size).toBeLessThan(6_000);
    const second = await openIn(folder);
    expect([...second.takeEntries("key").values()]).toEqual(
      Array.from({ length: 10 }, (_, i) => ({ i: 290 + i, text: "x".repeat(50) })),
    );
    await second.close();
  });

  it("makes its folder for its owner alone, and refuses one that is open to others", async () => {
    const folder = join(testFolder(), "deep", "data");
    await (await openIn(folder)).close();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
    chmodSync(folder, 0o750);
    await expect(openIn(folder)).rejects.toThrow("is open to others (mode 750); make it 700");
  });
});

describe("a log that is whole, with records that are none", () => {
  it.each([
    ["not JSON", "the log holds a record that is no JSON"],
    ["{}", "the log holds a record that nitro-decrypt has not written"],
    ["null", "the log holds a record that nitro-decrypt has not written"],
    ["[1]", "the log holds a record that nitro-decrypt has not written"],
  ])("is refused: %s", async (record, message) => {
    const folder = testFolder();
    await (await openIn(folder)).close();
    const chain = new MacChain(createSecretKey((await masterKey).derive("log")));
    writeFileSync(join(folder, "state.log"), Buffer.concat([LOG_HEADER, encodeFrame(1, [record], chain)]));
    const refusal: unknown = await openIn(folder).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StorageError);
    expect(refusal).toHaveProperty("message", message);
  });
});

describe("the lock of a folder", () => {
  it("keeps others out until it is released", async () => {
    const folder = testFolder();
    const repository = await openIn(folder);
    await expect(openIn(folder)).rejects.toThrow(`${folder} is in use by process ${process.pid}`);
    await repository.close();
    await (await openIn(folder)).close();
  });

  it("is given to one of many that ask at once", async () => {
    const folder = testFolder();
    for (let round = 0; round < 20; round++) {
      const asked = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
      const taken = asked.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      expect(taken).toHaveLength(1);
      for (const lock of taken) await lock.release();
    }
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it("does not outlive its process, even if another has its process id", async () => {
    const folder = testFolder();
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    await (await lockFolder(folder)).release();
    const [, , , ...system] = identityOf(process.pid).split(" ");
    const others = [
      identityOf(process.pid).replace(/^\d+/, String(pid)),
      identityOf(process.pid).replace(/ \d+ /, " 1 "),
      [process.pid, "1", "an-earlier-boot", ...system].join(" "),
      "",
    ];
    for (const owner of others) {
      for (const name of readdirSync(folder)) writeFileSync(join(folder, name), owner);
      await (await lockFolder(folder)).release();
    }
  });

  it("is not taken from a process of another container or machine, which cannot be seen", async () => {
    const folder = testFolder();
    const lock = join(folder, "lock.1");
    const [pid, start, boot, namespace, host] = identityOf(process.pid).split(" ");
    for (const [owner, where] of [
      [[pid, start, boot, "pid:[1]", host], host],
      [[pid, start, boot, "pid:[1]", "container"], "container"],
      [[pid, start, "another-boot", namespace, "elsewhere"], "elsewhere"],
    ] as const) {
      writeFileSync(lock, owner.join(" "));
      await expect(lockFolder(folder)).rejects.toThrow(
        `the data folder ${folder} is, or was, in use by process ${pid} of another container or machine (${where}). ` +
          `Whether that runs cannot be seen from here: if you know that it does not, remove ${lock}`,
      );
    }
    rmSync(lock);
    await (await lockFolder(folder)).release();
  });

  it("is missed before the next commit when it was removed", async () => {
    const folder = testFolder();
    const repository = await openIn(folder);
    for (const name of readdirSync(folder).filter((one) => one.startsWith("lock."))) rmSync(join(folder, name));
    const other = await openIn(folder);
    other.put("key", "a", 1);
    await other.close();
    repository.put("key", "b", 2);
    await expect(repository.flush()).rejects.toThrow("writing to");
    await expect(repository.close()).rejects.toThrow("writing to");
    const again = await openIn(folder);
    expect([...again.takeEntries("key")]).toEqual([["a", 1]]);
    await again.close();
  });

  it("is missed before anything is written", async () => {
    const folder = testFolder();
    const repository = await openIn(folder);
    rmSync(join(folder, "lock.1"));
    repository.put("key", "a", 1);
    await expect(repository.flush()).rejects.toThrow(`its lock ${join(folder, "lock.1")} was removed`);
    await expect(repository.close()).rejects.toThrow("was removed");
  });
});

describe("what is for its owner alone", () => {
  const own = process.geteuid?.() ?? 0;

  it("is ours or root's, and closed to others", () => {
    expect(() => assertPrivate("the file", { mode: 0o100600, uid: own }, 0o600)).not.toThrow();
    expect(() => assertPrivate("the file", { mode: 0o100400, uid: 0 }, 0o600)).not.toThrow();
    expect(() => assertPrivate("the file", { mode: 0o100600, uid: own + 1 }, 0o600)).toThrow(
      `the file belongs to another user (uid ${own + 1}); it must be that of uid ${own}`,
    );
    expect(() => assertPrivate("the file", { mode: 0o100640, uid: own }, 0o600)).toThrow(
      "the file is open to others (mode 640); make it 600",
    );
  });
});
