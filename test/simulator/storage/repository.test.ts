/** Collections in a folder, and that one process at a time has it. */
import { spawnSync } from "node:child_process";
import { chmodSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lockFolder } from "../../../simulator/storage/folder-lock.js";
import { openRepository } from "../../../simulator/storage/repository.js";
import { testFolder } from "../../support/folder.js";

describe("a repository", () => {
  it("has the last value of every id, in the order in which the ids first came", async () => {
    const folder = join(testFolder(), "data");
    const first = await openRepository(folder);
    first.put("key", "b", { n: 1 });
    first.put("key", "a", [null, "é\n"]);
    first.put("alias", "b", "another collection");
    first.put("key", "b", { n: 2 });
    first.put("key", "c", 3);
    first.delete("key", "c");
    first.delete("key", "never there");
    await first.close();
    const second = await openRepository(folder);
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
    const first = await openRepository(folder, { compactAtBytes: 4_096 });
    for (let i = 0; i < 300; i++) {
      first.put("key", `k${i % 10}`, { i, text: "x".repeat(50) });
      await first.flush();
    }
    await first.close();
    expect(statSync(join(folder, "state.log")).size).toBeLessThan(6_000);
    const second = await openRepository(folder);
    expect([...second.takeEntries("key").values()]).toEqual(
      Array.from({ length: 10 }, (_, i) => ({ i: 290 + i, text: "x".repeat(50) })),
    );
    await second.close();
  });

  it("makes its folder for its owner alone, and refuses one that is open to others", async () => {
    const folder = join(testFolder(), "deep", "data");
    await (await openRepository(folder)).close();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
    chmodSync(folder, 0o750);
    await expect(openRepository(folder)).rejects.toThrow("is open to others (mode 750); make it 700");
  });
});

describe("the lock of a folder", () => {
  it("keeps others out until it is released", async () => {
    const folder = testFolder();
    const repository = await openRepository(folder);
    await expect(openRepository(folder)).rejects.toThrow(`${folder} is in use by process ${process.pid}`);
    await repository.close();
    await (await openRepository(folder)).close();
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
    for (const owner of [`${pid}`, `${process.pid} 1 another boot`, ""]) {
      for (const name of readdirSync(folder)) writeFileSync(join(folder, name), owner);
      await (await lockFolder(folder)).release();
    }
  });
});
