/** The scripts of the image, as the tests use them: what they are to return is written here once. */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectRoot } from "../support/project.js";

export interface Bundle {
  readonly text: string;
  readonly licenses: string;
  readonly modules: readonly string[];
  readonly packages: readonly string[];
  readonly builtins: readonly string[];
}

interface BundleScript {
  bundleEnclave(options?: { entry?: string }): Promise<Bundle>;
  appFiles(options?: { configuration?: Uint8Array; entry?: string }): Promise<Map<string, Uint8Array>>;
}

interface Entry {
  readonly mode: number;
  readonly content?: Uint8Array;
  readonly source?: string;
}

interface RootfsScript {
  readonly ENTRYPOINT: readonly string[];
  readonly NODE: string;
  planRootfs(options: { app: ReadonlyMap<string, Uint8Array>; node?: string }): Promise<ReadonlyMap<string, Entry>>;
  listRootfs(entries: ReadonlyMap<string, Entry>): string[];
}

const load = (name: string): Promise<unknown> => import(pathToFileURL(join(projectRoot, "scripts/image", name)).href);

export const bundleScript = (await load("bundle.mjs")) as BundleScript;
export const rootfsScript = (await load("rootfs.mjs")) as RootfsScript;

/** The files of /app but for the configuration, with the module at `entry` as the program. */
export const appFilesOf = (entry?: string): Promise<Map<string, Uint8Array>> =>
  bundleScript.appFiles(entry === undefined ? {} : { entry });
