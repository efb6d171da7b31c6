/**
 * The files that a server leaves for its clients lie in a folder of its user, who may have files of the same names there:
 * `~/.aws` has `credentials` and `config`. So a mark beside them says what each holds and which process wrote it, and
 * what does not hold that is neither overwritten nor removed.
 */
import { createHash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { identityOf, isAlive } from "../../simulator/storage/process-identity.js";
import { hasCode } from "../../simulator/storage/storage-error.js";
import { CommandFailure } from "../command.js";

/** Contents by file name. */
export type Contents = ReadonlyMap<string, string>;

export interface Mark {
  /** The process that wrote them. */
  readonly process: string;
  /** SHA-256 of each file's content, in hexadecimal, by its name. */
  readonly files: Readonly<Record<string, string>>;
}

/** The mark of files that this process writes. */
export const markOf = (contents: Contents): Mark => ({
  process: identityOf(process.pid),
  files: Object.fromEntries([...contents].map(([name, content]) => [name, digestOf(content)])),
});

/**
 * Takes away what a server that has ended left in the folder.
 * @throws CommandFailure if one that runs has it, or a file of one of these names is somebody else's
 */
export async function clearLeftOver(
  folder: string,
  names: readonly string[],
  { markFile, mark }: { readonly markFile: string; readonly mark: Mark | undefined },
): Promise<void> {
  const present = new Map<string, string>();
  for (const name of names) {
    const content = await contentOf(join(folder, name));
    if (content !== undefined) present.set(name, content);
  }
  const isOurs = (name: string, content: string): boolean =>
    mark !== undefined && (name === markFile || mark.files[name] === digestOf(content));
  const foreign = [...present].filter(([name, content]) => !isOurs(name, content));
  if (foreign.length > 0) {
    const found = foreign.map(([name]) => name).join(", ");
    throw new CommandFailure(
      1,
      `--folder ${folder} has files of other origin (${found}), which stay; give another folder`,
    );
  }
  if (mark !== undefined && isAlive(mark.process)) {
    const [pid] = mark.process.split(" ");
    throw new CommandFailure(1, `--folder ${folder} is in use by a KMS that runs, process ${pid}; give another folder`);
  }
  for (const name of present.keys()) await rm(join(folder, name));
}

/** Writes new files, readable by their owner alone. */
export async function writeNew(folder: string, contents: Contents): Promise<void> {
  for (const [name, content] of contents) await writeFile(join(folder, name), content, { mode: 0o600, flag: "wx" });
}

/** Removes the files that still have their content, the last one first. */
export async function removeUnchanged(folder: string, contents: Contents): Promise<void> {
  for (const [name, content] of [...contents].reverse()) {
    const path = join(folder, name);
    if ((await contentOf(path)) === content) await rm(path);
  }
}

const digestOf = (content: string): string => createHash("sha256").update(content).digest("hex");

/** What is in the file; undefined if there is none. */
async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
