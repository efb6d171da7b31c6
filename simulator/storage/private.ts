/** Files and folders that are for their owner alone, on systems that have modes and owners. */
import { StorageError } from "./storage-error.js";

/** Of a file, what tells who can read and write it: stat(2). */
export interface Access {
  readonly mode: number;
  readonly uid: number;
}

/** @throws StorageError unless it is ours, or root's, who needs no permission, and closed to everybody else */
export function assertPrivate(name: string, { mode, uid }: Access, wanted: number): void {
  const own = process.geteuid?.();
  if (own === undefined) return;
  if (uid !== own && uid !== 0) {
    throw new StorageError(`${name} belongs to another user (uid ${uid}); it must be that of uid ${own}`);
  }
  if ((mode & 0o077) !== 0) {
    throw new StorageError(`${name} is open to others (mode ${octal(mode & 0o777)}); make it ${octal(wanted)}`);
  }
}

const octal = (mode: number): string => mode.toString(8);
