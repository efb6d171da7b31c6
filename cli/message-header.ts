/**
 * The header of an AWS Encryption SDK message in a file: which keys it is under, and its encryption context. Nobody has
 * vouched for it: it is what the file says. A symbolic link is not followed, and of a large file only the beginning is read.
 */
import { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { ServiceError } from "../shared/errors.js";
import type { MessageHeader } from "../shared/esdk/header.js";
import { readHeader } from "../shared/esdk/header.js";

/** Most headers are far shorter than the first; none that an enclave takes is longer than the second. */
const BEGINNINGS = [16 * 1024, 1024 * 1024];
/** More than any enclave takes (limits.maxEncryptedDataKeys). */
const MAX_ENCRYPTED_DATA_KEYS = 64;

/**
 * Opens a file for reading, for as long as `use` takes.
 * @throws Error of the operating system, ELOOP for a symbolic link
 */
export async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** The header at the beginning of an open file. @throws ServiceError ERR_MESSAGE_MALFORMED */
export async function headerOf(file: FileHandle): Promise<MessageHeader> {
  const { size } = await file.stat();
  for (const most of BEGINNINGS) {
    const bytes = await beginningOf(file, most);
    try {
      return readHeader(bytes, { maxEncryptedDataKeys: MAX_ENCRYPTED_DATA_KEYS });
    } catch (error) {
      if (bytes.length >= size || most === BEGINNINGS.at(-1)) throw error;
    }
  }
  throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected a message, it was empty");
}

/** The first bytes of the file, as many as there are. */
async function beginningOf(file: FileHandle, most: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(most);
  let length = 0;
  while (length < most) {
    const { bytesRead } = await file.read(bytes, length, most - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}
