/** A master key of its own for a test, without a file that stays. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MasterKey } from "../../simulator/storage/master-key.js";

export async function newMasterKey(): Promise<MasterKey> {
  const folder = await mkdtemp(join(tmpdir(), "nd-"));
  try {
    return await MasterKey.readOrCreate(join(folder, "key"));
  } finally {
    await rm(folder, { recursive: true });
  }
}
