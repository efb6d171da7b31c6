/** A file that only grows, and the system calls that make what is in a folder last. */
import { fstatSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";

/** What a log needs of its file; a test gives it one whose disk is full. */
export interface LogFile {
  /** Writes all of `bytes` behind what there is. */
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when everything that was appended is on disk: fdatasync(2). */
  sync(): Promise<void>;
  /** Whether the file has that length, and its name: nobody else wrote to it or put another one in its place. */
  isStill(length: number): boolean;
  close(): Promise<void>;
}

/** Opens the file, cut to its first `length` bytes. It is made if it is not there, readable by nobody else. */
export async function openLogFile(path: string, length: number): Promise<LogFile> {
  const file = await open(path, "a", 0o600);
  try {
    if ((await file.stat()).size > length) {
      await file.truncate(length);
      await file.sync();
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    append: (bytes) => writeAll(file, bytes),
    sync: () => file.datasync(),
    isStill: (expected) => isStill(file, expected),
    close: () => file.close(),
  };
}

/** fstat(2) costs less than the way to another thread and back. */
function isStill({ fd }: FileHandle, length: number): boolean {
  const { size, nlink } = fstatSync(fd);
  return size === length && nlink > 0;
}

/** write(2) may take less than it is given. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written)).bytesWritten;
  }
}

/** Makes the names in a folder last, as they are now: POSIX leaves that to an fsync of the folder. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
