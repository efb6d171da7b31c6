/** Root file systems for the guest, laid out in folders of the host. */
import { copyFile, cp, link, mkdir, readFile, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { attempt, run } from "./command.js";
import type { Kernel } from "./kernel.js";
import { programPath } from "./requirements.js";

/** What runs as an enclave: a root file system, and what AWS's init reads from /cmd and /env beside it. */
export interface EnclaveRoot {
  /** Its root file system: a folder of the host, which is copied. */
  readonly folder: string;
  /** The program by absolute path, or by name where PATH is what AWS's init sets; then its arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const NODE = "usr/bin/node";

/** The root of the guest, in which everything but the enclave runs: the parent instance, KMS and the test. */
export async function layParentRoot(root: string, project: string, kernel: Kernel): Promise<void> {
  const folders = ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "modules"];
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  await copyFile((await programPath("busybox")) ?? "", join(root, "bin/busybox"));
  await symlink("busybox", join(root, "bin/sh"));
  await copyFile(join(project, "test/vm/guest/init.sh"), join(root, "init"));
  await copyFile(join(project, "test/vm/guest/enclave.sh"), join(root, "enclave.sh"));
  await writeFile(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
  await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  for (const file of kernel.modules) await copyFile(file, join(root, "modules", basename(file)));
  await layNode(root);
  await layProject(join(root, "app"), project);
}

/** The enclave's root as /enclave of the guest's, and beside it its command and environment, one item a line. */
export async function layEnclave(root: string, enclave: EnclaveRoot): Promise<void> {
  const target = join(root, "enclave");
  await cp(enclave.folder, target, { recursive: true, verbatimSymlinks: true });
  await shareFile(join(root, NODE), join(target, NODE));
  for (const folder of ["dev", "proc"]) await mkdir(join(target, folder), { recursive: true });
  await writeFile(join(root, "etc/enclave-cmd"), lines(enclave.command));
  const environment = Object.entries(enclave.environment).map(([name, value]) => `${name}=${value}`);
  await writeFile(join(root, "etc/enclave-env"), lines(environment));
}

const lines = (items: readonly string[]): string => items.map((item) => `${item}\n`).join("");

/** The running Node, and the shared libraries that it needs where the loader looks for them. */
export async function layNode(root: string): Promise<void> {
  await place(await realpath(process.execPath), join(root, NODE));
  const libraries = (await run("ldd", [process.execPath])).matchAll(/(\/\S+) \(0x/g);
  for (const [, library = ""] of libraries) await place(await realpath(library), join(root, library));
}

async function place(file: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await copyFile(file, target);
}

/** Makes `copy` another name of `file` if its content is the same: an archive then has it once. */
async function shareFile(file: string, copy: string): Promise<void> {
  if ((await attempt("cmp", ["-s", file, copy])).status !== 0) return;
  await rm(copy);
  await link(file, copy);
}

const lockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({ dev: z.boolean().optional(), link: z.boolean().optional(), resolved: z.string().optional() }),
  ),
});

/** The project as it is installed in production, and the guest's side of this test. */
async function layProject(app: string, project: string): Promise<void> {
  await mkdir(app, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) await copyFile(join(project, file), join(app, file));
  for (const part of ["shared", "client", "vsock", "transport", "enclave", "parent", "simulator", "cli", "test/vm"]) {
    await copyProgram(join(project, "dist", part), join(app, "dist", part));
  }
  const { packages } = lockFile.parse(JSON.parse(await readFile(join(project, "package-lock.json"), "utf8")));
  for (const [path, { dev, link: isLink, resolved = "" }] of Object.entries(packages)) {
    if (dev || !path.startsWith("node_modules/") || !(await exists(join(project, path)))) continue;
    await copyProgram(join(project, isLink ? resolved : path), join(app, path));
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Copies what runs: no types, maps and texts, and not the packages below a package, which the lock file names too. */
async function copyProgram(source: string, target: string): Promise<void> {
  const filter = (path: string): boolean => {
    const below = path.slice(source.length);
    return !/\/(node_modules|dist-types)(\/|$)|\.([cm]?ts|map|md)$/.test(below);
  };
  await cp(source, target, { recursive: true, filter });
}
