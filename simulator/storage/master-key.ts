/**
 * The master key, under which key material lies in a data folder: AES-256-GCM, a nonce of its own for each wrapping. It is
 * in a file beside the folder, never in it, so that a copy of the folder opens nothing by itself.
 */
import type { KeyObject } from "node:crypto";
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes, randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { link, open, readdir, realpath, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { fromBase64, toBase64, utf8, wipe } from "../../shared/bytes.js";
import { syncFolder } from "./log-file.js";
import { assertPrivate } from "./private.js";
import { hasCode, StorageError } from "./storage-error.js";

const PREFIX = "nitro-decrypt master key 1: ";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ALGORITHM = "aes-256-gcm";
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
/** More than a master key file has. */
const MAX_FILE_BYTES = 256;

export class MasterKey {
  readonly #key: KeyObject;

  private constructor(secret: Uint8Array) {
    this.#key = createSecretKey(secret);
    wipe(secret);
  }

  /** Reads the key from its file. @throws StorageError if there is none, or others than its owner may read it */
  static async read(path: string): Promise<MasterKey> {
    const file = await openForReading(path);
    try {
      const stats = await file.stat();
      assertPrivate(`the master key file ${path}`, stats, 0o600);
      if (stats.nlink > 1) await removeDrafts(path, stats);
      return new MasterKey(await parse(file, path));
    } finally {
      await file.close();
    }
  }

  /** Reads the key from its file; if there is none, makes both, on disk before this returns. @throws StorageError */
  static async readOrCreate(path: string): Promise<MasterKey> {
    const draft = draftOf(path);
    const secret = randomBytes(KEY_BYTES);
    const file = await open(draft, "wx", 0o600);
    try {
      await file.writeFile(`${PREFIX}${toBase64(secret)}\n`);
      await file.sync();
      await link(draft, path); // whole or not at all, and never over another one
      await syncFolder(dirname(path));
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    } finally {
      wipe(secret);
      await file.close();
      await rm(draft, { force: true }); // another that reads the key may have removed it
    }
    return MasterKey.read(path);
  }

  /** Another key of 32 bytes, for `purpose`, which is the same every time (HKDF, RFC 5869). */
  derive(purpose: string): Uint8Array<ArrayBuffer> {
    const info = associatedData(["derived", purpose]);
    return new Uint8Array(hkdfSync("sha256", this.#key, new Uint8Array(), info, KEY_BYTES));
  }

  /** Seals `secret`; it opens only with the same `binding`. */
  wrap(secret: Uint8Array, binding: readonly string[]): Uint8Array<ArrayBuffer> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(associatedData(binding));
    return new Uint8Array(Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]));
  }

  /** Opens what `wrap` gave. @throws StorageError if it was made under another key or binding, or changed */
  unwrap(wrapped: Uint8Array, binding: readonly string[]): Uint8Array<ArrayBuffer> {
    const end = Math.max(wrapped.length - TAG_BYTES, NONCE_BYTES);
    try {
      const decipher = createDecipheriv(ALGORITHM, this.#key, wrapped.subarray(0, NONCE_BYTES));
      decipher.setAAD(associatedData(binding)).setAuthTag(wrapped.subarray(end));
      return new Uint8Array(Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES, end)), decipher.final()]));
    } catch (cause) {
      throw new StorageError("a wrapped key does not open under this master key", { cause });
    }
  }
}

const associatedData = (binding: readonly string[]): Uint8Array =>
  utf8(JSON.stringify(["nitro-decrypt/simulated-kms/master-key/v1", ...binding]));

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (cause) {
    const missing =
      "is missing: put it back, or name it with --master-key. Without it the keys in the data folder are lost";
    const problem = hasCode(cause, "ENOENT") ? missing : `cannot be read: ${String(cause)}`;
    throw new StorageError(`the master key file ${path} ${problem}`, { cause });
  }
}

async function parse(file: FileHandle, path: string): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES), 0, MAX_FILE_BYTES, 0);
  const text = buffer.toString("latin1", 0, bytesRead);
  const secret = text.startsWith(PREFIX) ? fromBase64(text.slice(PREFIX.length).trimEnd()) : undefined;
  wipe(buffer);
  if (secret?.length !== KEY_BYTES) throw new StorageError(`${path} is not a master key file of nitro-decrypt`);
  return secret;
}

const draftOf = (path: string): string => `${path}.${randomUUID()}`;

/** What a crash between link(2) and unlink(2) left: other names of the key's file, which nobody would think of. */
async function removeDrafts(path: string, key: { readonly ino: number; readonly dev: number }): Promise<void> {
  const [folder, begin] = [dirname(path), `${basename(path)}.`];
  const isDraft = (name: string): boolean => name.startsWith(begin) && UUID.test(name.slice(begin.length));
  for (const name of (await readdir(folder)).filter(isDraft)) {
    const draft = join(folder, name);
    const { ino, dev } = await stat(draft);
    if (ino === key.ino && dev === key.dev) await rm(draft, { force: true });
  }
}

/** @throws StorageError if the file lies in the folder, or would, whatever symbolic links lead there */
export async function assertOutside(file: string, folder: string): Promise<void> {
  if (!(await realPathOf(file)).startsWith((await realPathOf(folder)) + sep)) return;
  throw new StorageError(`the master key file ${file} lies in the data folder, which must open nothing by itself`);
}

/** The path without symbolic links, also of what is not there yet. */
async function realPathOf(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
    return join(await realPathOf(dirname(absolute)), basename(absolute));
  }
}
