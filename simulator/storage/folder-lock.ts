/**
 * One process at a time has a folder. Who has it stands in `lock.N`, whole from its first moment (link(2) of a draft). The
 * highest N is the one that counts: whoever finds its owner gone makes N+1, which of several succeeds for one. Its owner
 * leaves the file in place, empty, so that a number is never given twice. The kernel's own locks (flock) are out of reach
 * of Node.
 *
 * Whether its owner runs can be told of one in the same PID namespace alone. Of another container's or another machine's it
 * cannot, and so the folder is refused until somebody who knows removes the file.
 */
import { randomUUID } from "node:crypto";
import { fstatSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { link, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { identityOf, isNeighbour, mayBeAlive } from "./process-identity.js";
import { hasCode, StorageError } from "./storage-error.js";

export interface FolderLock {
  /** @throws StorageError if the lock file was removed: the folder may be another's */
  assertHeld(): void;
  release(): Promise<void>;
}

const LOCK_NAME = /^lock\.(\d{1,15})$/;

/** Takes the folder. @throws StorageError if a process that runs has it */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const draft = join(folder, `draft-${randomUUID()}`);
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(identityOf(process.pid));
    return new HeldLock(await take(folder, draft), file);
  } catch (error) {
    await file.close();
    throw error;
  } finally {
    await rm(draft);
  }
}

class HeldLock implements FolderLock {
  readonly #path: string;
  /** Its number of names is what tells whether it is there: a new file of the same name is another one. */
  readonly #file: FileHandle;

  constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  assertHeld(): void {
    if (fstatSync(this.#file.fd).nlink > 0) return;
    throw new StorageError(`its lock ${this.#path} was removed; another process may have the folder`);
  }

  async release(): Promise<void> {
    await this.#file.truncate();
    await this.#file.close();
  }
}

/** Makes the draft the lock; returns its path. @throws StorageError if a process that runs has the folder */
async function take(folder: string, draft: string): Promise<string> {
  for (;;) {
    const present = await locksIn(folder);
    const highest = present.at(-1) ?? 0;
    if (highest > 0) await assertFree(folder, pathOf(folder, highest));
    const mine = highest + 1;
    if (!(await linked(draft, pathOf(folder, mine)))) continue; // another was faster: look again who has it
    if ((await locksIn(folder)).at(-1) === mine) {
      for (const number of present) await rm(pathOf(folder, number), { force: true });
      return pathOf(folder, mine);
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
  const [pid, , , , host = "unknown"] = owner.split(" ");
  if (owner === "" || !mayBeAlive(owner)) return;
  if (isNeighbour(owner)) throw new StorageError(`the data folder ${folder} is in use by process ${pid}`);
  throw new StorageError(
    `the data folder ${folder} is, or was, in use by process ${pid} of another container or machine (${host}). Whether ` +
      `that runs cannot be seen from here: if you know that it does not, remove ${path}`,
  );
}
