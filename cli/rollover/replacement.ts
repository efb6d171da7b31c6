/**
 * Puts a new file in the place of another, whole or not at all: it is written beside it under a temporary name, synced,
 * looked at, given the mode and owner of the old one, renamed over it, and the folder synced (docs/adr/0019). A kill at any
 * moment leaves the old file or the new one, and at most a temporary file, which the journal knows.
 *
 * Between the last look at the old file and rename(2) there is a moment in which a change of it by somebody else is lost;
 * no system call of POSIX closes it.
 */
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { lstat, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncFolder } from "../../simulator/storage/log-file.js";
import { hasCode } from "../../simulator/storage/storage-error.js";
import { FileFailure, fileFailure } from "./failure.js";
import type { InspectedMessage } from "./inspection.js";
import { isUnchanged } from "./inspection.js";

export interface Replacement {
  /** Its path, in the folder of the old file. */
  readonly temporary: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** Looks at the new file before it takes the place of the old one; what it throws keeps the old one. */
  readonly check: (file: FileHandle) => Promise<void>;
  /** Gives up until the new file is whole; then it takes its place. */
  readonly signal: AbortSignal;
}

/** @throws FileFailure FILE_CHANGED, FILE_UNWRITABLE; what `content` and `check` throw; the signal's reason */
export async function replace(old: InspectedMessage, replacement: Replacement): Promise<void> {
  const { temporary, signal } = replacement;
  try {
    await write(old, replacement);
    signal.throwIfAborted();
    await assertUnchanged(old);
    await writing(() => rename(temporary, old.path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await writing(() => syncFolder(dirname(old.path)));
}

async function write(old: InspectedMessage, { temporary, content, check }: Replacement): Promise<void> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await writing(() => open(temporary, flags, 0o600));
  try {
    for await (const part of content) await writing(() => writeAll(file, part));
    await check(file);
    await writing(() => takeAccess(file, old));
    await writing(() => file.sync());
  } finally {
    await file.close();
  }
}

/** The owner before the mode: chown(2) takes set-user-ID bits away. Whoever may not give the file away keeps the old one. */
async function takeAccess(file: FileHandle, { stats }: InspectedMessage): Promise<void> {
  const { uid, gid } = await file.stat({ bigint: true });
  if (uid !== stats.uid || gid !== stats.gid) await file.chown(Number(stats.uid), Number(stats.gid));
  await file.chmod(Number(stats.mode) & 0o7777);
}

async function assertUnchanged({ path, stats }: InspectedMessage): Promise<void> {
  const now = await lstat(path, { bigint: true }).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) throw new FileFailure("FILE_CHANGED", "it was removed meanwhile");
    throw fileFailure("FILE_UNREADABLE", error);
  });
  if (!isUnchanged(now, stats)) throw new FileFailure("FILE_CHANGED", "it was changed or replaced meanwhile, and left");
}

async function writing<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw fileFailure("FILE_UNWRITABLE", error);
  }
}

/** write(2) may take less than it is given. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written)).bytesWritten;
  }
}
