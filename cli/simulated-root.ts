/** The simulated Nitro root that the processes of one simulation share through a file. */
import { link, unlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ServiceError } from "../shared/errors.js";
import type { SimulatedRoot } from "../simulator/pki/nitro-pki.js";
import { createSimulatedRoot } from "../simulator/pki/nitro-pki.js";
import { readRootFile, writeRootFile } from "../simulator/pki/root-file.js";
import { makeFolder } from "../simulator/storage/repository.js";
import type { Io } from "./command.js";
import { CommandFailure } from "./command.js";
import { systemFailure } from "./system-failure.js";

/** The root in `file`, which is made if it is not there; without a file a root that ends with this process. */
export async function simulatedRoot(io: Io, file: string | undefined): Promise<SimulatedRoot> {
  if (file === undefined) return createSimulatedRoot();
  const path = resolve(io.cwd, file);
  try {
    return await readRootFile(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw rootFailure(file, error);
  }
  try {
    await writeNewRoot(path);
  } catch (cause) {
    throw new CommandFailure(1, `the root file ${path} cannot be written`, { cause });
  }
  return readRootFile(path);
}

function rootFailure(file: string, cause: unknown): unknown {
  if (!(cause instanceof ServiceError)) return systemFailure(`--pki ${file} cannot be read`, cause);
  return new CommandFailure(1, `--pki ${file} is no file of a simulated root: ${cause.message}`, { cause });
}

/** Whole or not at all, and never over another one: several processes of a simulation may start at once. */
async function writeNewRoot(path: string): Promise<void> {
  const draft = `${path}.${process.pid}`;
  await makeFolder(dirname(path));
  await writeRootFile(draft, await createSimulatedRoot());
  try {
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await unlink(draft);
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
