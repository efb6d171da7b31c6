/** The package as `npm pack` makes it, installed in a folder: without a registry, its dependencies are links to this project's. */
import { existsSync, mkdirSync, readFileSync, symlinkSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageClosure } from "./closure.js";
import { projectRoot, runCommand } from "./project.js";
import { unpackTarball } from "./tarball.js";

/** Packs the package and installs it below `folder`, with its dependencies; returns the paths of its files. */
export function installPacked(folder: string): string[] {
  const packed = runCommand("npm", ["pack", "--silent", "--pack-destination", folder], projectRoot);
  const tarball = join(folder, packed.stdout.trim().split("\n").pop() ?? "");
  const installed = join(folder, "node_modules", "nitro-decrypt");
  mkdirSync(installed, { recursive: true });
  const files = unpackTarball(readFileSync(tarball), installed);
  unlinkSync(tarball);
  const { dependencies } = readManifest<{ dependencies: Record<string, string> }>(projectRoot);
  linkPackages(folder, Object.keys(dependencies));
  return files;
}

/** Stands in for the registry: links packages and what they ask for, as the lock file pins them. No more. */
export function linkPackages(folder: string, names: readonly string[]): void {
  for (const label of packageClosure(names)) {
    const name = label.slice(0, label.lastIndexOf("@"));
    const source = join(projectRoot, "node_modules", name);
    const link = join(folder, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    if (existsSync(source) && !existsSync(link)) symlinkSync(source, link, "dir");
  }
}

/** package.json of a folder. */
export const readManifest = <T>(folder: string): T => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
