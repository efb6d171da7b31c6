/**
 * The guest's kernel: Debian's own for the cloud, downloaded from where apt is configured to download from, unpacked and not
 * installed. Kept in a folder of the user's cache: the image, and the modules in the order in which they load.
 */
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { attempt, run } from "./command.js";
import { online } from "./requirements.js";

/** The package that depends on the newest kernel of a release. */
const META_PACKAGE = "linux-image-cloud-amd64";

/** What the guest needs beyond what the kernel has built in: /dev/cuse, and vsock from the guest to itself. */
const MODULES = ["cuse", "vsock_loopback"];

export interface Kernel {
  readonly name: string;
  readonly image: string;
  /** Files of the modules, each after those that it needs. */
  readonly modules: readonly string[];
}

export interface KernelSource {
  /** Modules that are loaded at boot, with all that they need; what test:vm needs unless given. */
  readonly modules?: readonly string[];
  /** Options of apt that name another release than the host's own. */
  readonly apt?: readonly string[];
}

/** A folder of the user's cache. */
export const cacheFolder = (name: string): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "nitro-decrypt", name);

/** The kernel, from the cache where it is there already. */
export async function provideKernel(say: (line: string) => void, source: KernelSource = {}): Promise<Kernel> {
  const { modules: wanted = MODULES, apt = [] } = source;
  const { name, version } = await online(() => newestKernel(apt));
  const folder = join(cacheFolder("vm"), [`${name}_${version}`, ...wanted].join("+"));
  if (!existsSync(folder)) {
    say(`downloads ${name} ${version}`);
    await mkdir(cacheFolder("vm"), { recursive: true });
    await online(() => download(name, folder, { modules: wanted, apt }));
  }
  const modules = (await readdir(join(folder, "modules"))).sort();
  return { name, image: join(folder, "vmlinuz"), modules: modules.map((file) => join(folder, "modules", file)) };
}

async function newestKernel(apt: readonly string[]): Promise<{ readonly name: string; readonly version: string }> {
  const known = await attempt("apt-cache", [...apt, "show", META_PACKAGE]);
  if (known.status !== 0) await run("apt-get", [...apt, "update", "-qq"]);
  const described = await run("apt-cache", [...apt, "show", "--no-all-versions", META_PACKAGE]);
  const [, name, version] = /^Depends: (linux-image-\S+) \(= (\S+)\)$/m.exec(described) ?? [];
  if (name === undefined || version === undefined) throw new Error(`${META_PACKAGE} names no kernel`);
  return { name, version };
}

/** Fills `folder`, whole or not at all. */
async function download(name: string, folder: string, { modules, apt }: Required<KernelSource>): Promise<void> {
  const scratch = await mkdtemp(join(cacheFolder("vm"), "scratch-"));
  try {
    await run("apt-get", [...apt, "download", "-qq", name], { cwd: scratch });
    const archive = (await readdir(scratch)).find((file) => file.endsWith(".deb")) ?? "";
    const unpacked = join(scratch, "unpacked");
    await run("dpkg-deb", ["-x", archive, "unpacked"], { cwd: scratch });
    await mkdir(join(scratch, "kept", "modules"), { recursive: true });
    await collect(unpacked, join(scratch, "kept"), modules);
    await rename(join(scratch, "kept"), folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error; // else another run was quicker
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function collect(unpacked: string, kept: string, modules: readonly string[]): Promise<void> {
  const image = (await readdir(join(unpacked, "boot"))).find((file) => file.startsWith("vmlinuz")) ?? "";
  await copyFile(join(unpacked, "boot", image), join(kept, "vmlinuz"));
  const files = await readdir(unpacked, { recursive: true });
  const byName = new Map(files.filter(isModule).map((file) => [moduleName(file), join(unpacked, file)] as const));
  const ordered = new Map<string, Uint8Array>();
  for (const name of modules) await addInOrder(name, byName, ordered);
  let index = 10; // two digits, so that names sort as they load
  for (const [name, content] of ordered) await writeFile(join(kept, "modules", `${index++}-${name}.ko`), content);
}

const isModule = (file: string): boolean => /\.ko(\.xz)?$/.test(file);
const moduleName = (file: string): string =>
  basename(file)
    .replace(/\.ko(\.xz)?$/, "")
    .replaceAll("-", "_");

/** Adds a module after all that its "depends=" names; one without a file is built in. */
async function addInOrder(
  name: string,
  byName: ReadonlyMap<string, string>,
  ordered: Map<string, Uint8Array>,
): Promise<void> {
  const file = byName.get(name);
  if (file === undefined || ordered.has(name)) return;
  const content = await readModule(file);
  const [, depends = ""] = /\0depends=([^\0]*)\0/.exec(content.toString("latin1")) ?? [];
  for (const needed of depends.split(",")) await addInOrder(needed.replaceAll("-", "_"), byName, ordered);
  ordered.set(name, content);
}

async function readModule(file: string): Promise<Buffer> {
  if (!file.endsWith(".xz")) return readFile(file);
  await run("xz", ["-d", file]);
  return readFile(file.slice(0, -".xz".length));
}
