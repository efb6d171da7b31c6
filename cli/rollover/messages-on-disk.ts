/**
 * The files that a rollover is about: of a folder all regular files in it and below, or those of a list. Symbolic links are
 * not followed, and what a rollover has left behind when it was killed is no message. The order is that of names, so
 * two runs see the same.
 */
import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ServiceError } from "../../shared/errors.js";
import { decodeUtf8 } from "../../shared/wire.js";
import type { Io } from "../command.js";
import { CommandFailure } from "../command.js";
import { readInput } from "../input.js";
import { systemFailure } from "../system-failure.js";
import { isTemporary } from "./temporary-file.js";

/** Where the files are. Paths are absolute. */
export type Source =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "list"; readonly path: string };

/** A file; or what stands there instead. */
export interface FoundFile {
  readonly path: string;
  readonly kind: "file" | "link" | "special" | "temporary";
}

/** More than any path of Linux (PATH_MAX) may be long. */
const MAX_PATH = 4_096;
const MAX_LIST_BYTES = 256 * 1024 * 1024;

/** @throws CommandFailure if the folder or the list cannot be read */
export async function* filesOf(source: Source, io: Io): AsyncGenerator<FoundFile> {
  if (source.kind === "folder") yield* filesBelow(source.path);
  else yield* (await pathsIn(source.path, io)).map((path) => ({ path, kind: "file" as const }));
}

async function* filesBelow(folder: string): AsyncGenerator<FoundFile> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw systemFailure(`the folder ${folder} cannot be read`, error);
  });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield { path, kind: isTemporary(entry.name) ? "temporary" : kindOf(entry) };
  }
}

function kindOf(entry: Dirent): FoundFile["kind"] {
  if (entry.isSymbolicLink()) return "link";
  return entry.isFile() ? "file" : "special";
}

/** One path a line, relative to the folder of the list, each once; empty lines mean nothing. */
async function pathsIn(list: string, io: Io): Promise<readonly string[]> {
  const lines = decodeList(list, await readInput(list, io, MAX_LIST_BYTES)).split("\n");
  const paths = lines.flatMap((line, index) => {
    const path = line.replace(/\r$/, "");
    if (path.length > MAX_PATH || path.includes("\0")) {
      throw new CommandFailure(1, `${list}, line ${index + 1}: expected a path, it is none`);
    }
    return path === "" ? [] : [resolve(dirname(list), path)];
  });
  return [...new Set(paths)];
}

function decodeList(list: string, bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new CommandFailure(1, `${list}: expected a list of paths in UTF-8, one a line`, { cause: error });
  }
}
