/**
 * A key store in a folder: one file for each record, which holds it as a DynamoDB item in JSON, so that people can read it
 * and it can be put into a table as it is. Nothing in it is secret: keys are encrypted by AWS KMS. Only reading is here;
 * `nitro-decrypt branch-keys` writes.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ServiceError } from "../shared/errors.js";
import { parseJson } from "../shared/wire.js";

/** A record's primary key. */
export interface BranchKeyItemKey {
  readonly branchKeyId: string;
  /** The sort key. */
  readonly type: string;
}

/** A DynamoDB item in JSON: binary values are base64. */
export type JsonItem = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const MAX_ITEM_BYTES = 64 * 1024;
const text = z.looseObject({ S: z.string() });
const jsonItem = z.object({ "branch-key-id": text, type: text }).catchall(z.record(z.string(), z.unknown()));

/** The name of a record's file: a hash, because identifiers may hold what names of files cannot. */
export const itemFileName = ({ branchKeyId, type }: BranchKeyItemKey): string =>
  `${createHash("sha256")
    .update(JSON.stringify([branchKeyId, type]))
    .digest("hex")}.json`;

/** Whether a file of that name is a record's. */
export const isItemFileName = (name: string): boolean => /^[0-9a-f]{64}\.json$/.test(name);

/**
 * The record in the folder `path`, or undefined when it has none.
 * @throws ServiceError ERR_KEY_STORE when the file cannot be read, or is not that record's.
 */
export async function readItem(path: string, key: BranchKeyItemKey): Promise<JsonItem | undefined> {
  const item = await readItemFile(join(path, itemFileName(key)));
  if (item === undefined) return undefined;
  if (item["branch-key-id"]?.S === key.branchKeyId && item.type?.S === key.type) return item;
  throw new ServiceError("ERR_KEY_STORE", "expected the record that its file's name stands for, it is another one");
}

/** The record in a file, or undefined when there is no such file. @throws ServiceError ERR_KEY_STORE */
export async function readItemFile(file: string): Promise<JsonItem | undefined> {
  const content = await readBounded(file).catch((cause: unknown) => {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new ServiceError("ERR_KEY_STORE", "expected a record's file that can be read", { cause });
  });
  return content === undefined ? undefined : parseJson(jsonItem, content, "ERR_KEY_STORE");
}

async function readBounded(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    if (size > MAX_ITEM_BYTES) throw new RangeError(`expected a file of at most ${MAX_ITEM_BYTES} bytes`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}
