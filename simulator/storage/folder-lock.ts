/**
 * One process at a time has a folder. Who has it stands in `lock.N`, whole from its first moment (link(2) of a draft). The
 * highest N is the one that counts: whoever finds its owner gone makes N+1, which of several succeeds for one. Its owner
 * leaves the file in place, empty, so that a number is never given twice. The kernel's own locks (flock) are out of reach
 * of Node.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, StorageError } from "./storage-error.js";

export interface FolderLock {
  release(): Promise<void>;
}

const LOCK_NAME = /^lock\.(\d{1,15})$/;

/** Takes the folder. @throws StorageError if a process that runs has it */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const draft = join(folder, `draft-${randomUUID()}`);
  await writeFile(draft, identityOf(process.pid), { mode: 0o600, flag: "wx" });
  try {
    return await take(folder, draft);
  } finally {
    await rm(draft);
  }
}

async function take(folder: string, draft: string): Promise<FolderLock> {
  for (;;) {
    const present = await locksIn(folder);
    const highest = present.at(-1) ?? 0;
    if (highest > 0) await assertFree(folder, pathOf(folder, highest));
    const mine = highest + 1;
    if (!(await linked(draft, pathOf(folder, mine)))) continue; // another was faster: look again who has it
    if ((await locksIn(folder)).at(-1) === mine) {
      for (const number of present) await rm(pathOf(folder, number), { force: true });
      return { release: () => truncate(pathOf(folder, mine)) };
    }
    await rm(pathOf(folder, mine), { force: true }); // a number of long ago: others have come and gone since we looked
  }
}

const pathOf = (folder: string, number: number): string => join(folder, `lock.${number}`);

/** The numbers of the lock files, ascending. */
async function locksIn(folder: string): Promise<readonly number[]> {
  return (await readdir(folder))
    .flatMap((name) => LOCK_NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Whether the draft became the lock; false if there is one of that name. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

async function assertFree(folder: string, path: string): Promise<void> {
  const owner = await readFile(path, "utf8").catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return ""; // its successor has removed it: the next look finds that one
    throw error;
  });
  const [pid = ""] = owner.split(" ");
  if (pid === "" || !isRunning(Number(pid)) || identityOf(Number(pid)) !== owner) return;
  throw new StorageError(`the data folder ${folder} is in use by process ${pid}`);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM"); // it runs, as somebody else
  }
}

/** The process id, and on Linux when the process started, in which boot: an id alone is given again. */
function identityOf(pid: number): string {
  try {
    // proc(5): the name in parentheses may hold anything; what follows the last one is field 3 and onwards.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /s, "")
      .split(" ");
    return `${pid} ${fields[19]} ${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()}`;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return `${pid}`; // no /proc, or the process has just ended
    throw error;
  }
}
