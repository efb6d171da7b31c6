/** Root file systems for the guest, laid out in folders of the host. */
import { copyFile, cp, link, mkdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { attempt, run } from "./command.js";
import type { Kernel } from "./kernel.js";
import { layPrograms } from "./programs.js";
import { programPath } from "./requirements.js";

/** What runs as an enclave: a root file system, and what AWS's init reads from /cmd and /env beside it. */
export interface EnclaveRoot {
  /** Its root file system: a folder of the host, which is copied. */
  readonly folder: string;
  /** Where it has Node, by absolute path. */
  readonly node: string;
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
  await layPrograms(join(root, "app"), project);
}

/** The enclave's root as /enclave of the guest's, and beside it its command and environment, one item a line. */
export async function layEnclave(root: string, enclave: EnclaveRoot): Promise<void> {
  const target = join(root, "enclave");
  await cp(enclave.folder, target, { recursive: true, verbatimSymlinks: true });
  await shareFile(join(root, NODE), join(target, enclave.node));
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
