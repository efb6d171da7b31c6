/**
 * An enclave image file made as nitro-cli makes one: kernel and command line, a first ramdisk with the init and its modules, a
 * second with the container image's files, its command and its environment, and a signature. The parts that are AWS's are
 * replaced: the kernel is Debian's, the init is the test's.
 */
import { chmod, copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { measureImage } from "../../../shared/eif/eif.js";
import { buildEif, parts, SECTION } from "../../support/eif-builder.js";
import { run } from "../../vm/host/command.js";
import { packArchive } from "../../vm/host/initramfs.js";
import type { Kernel } from "../../vm/host/kernel.js";
import type { Signer } from "./signature.js";
import { signatureSection } from "./signature.js";

/** Measured, so what depends on the host is not in it: host/machine.ts adds that. */
const COMMAND_LINE = "console=ttyS0 quiet loglevel=1 panic=-1 reboot=t rootfstype=ramfs";

export interface ImageSource {
  /** The built module that becomes /app/enclave.mjs. */
  readonly entry: string;
  /** /app/enclave.json. */
  readonly configuration?: Uint8Array;
  /** What the program is started with. */
  readonly args?: readonly string[];
}

export interface BuiltImage {
  readonly file: string;
  /** What `nitro-decrypt pcrs` says of the file: hexadecimal by index. */
  readonly pcrs: Readonly<Record<string, string>>;
  readonly bytes: number;
}

/** What is common to the images of one run. */
export interface ImageTools {
  readonly project: string;
  readonly kernel: Kernel;
  readonly signer: Signer;
}

interface ImageScripts {
  appFiles(options: { entry: string; configuration?: Uint8Array | undefined }): Promise<Map<string, Uint8Array>>;
  planRootfs(options: { app: Map<string, Uint8Array> }): Promise<Map<string, object>>;
  writeRootfs(entries: Map<string, object>, target: string): Promise<void>;
  readonly ENTRYPOINT: readonly string[];
}

/** Writes an image into `folder`, which is made. */
export async function buildImage(folder: string, source: ImageSource, tools: ImageTools): Promise<BuiltImage> {
  await mkdir(folder, { recursive: true });
  const [base, application] = [join(folder, "base"), join(folder, "application")];
  await layBase(base, tools);
  await layApplication(application, source, tools.project);
  const kernel = await readFile(tools.kernel.image);
  const cmdline = Buffer.from(COMMAND_LINE);
  const ramdisks = [await archiveOf(base), await archiveOf(application)];
  const { pcr0 } = await measureImage({ kernel, cmdline, ramdisks });
  const image = buildEif({
    sections: [
      { type: SECTION.kernel, data: kernel },
      { type: SECTION.cmdline, data: cmdline },
      { type: SECTION.metadata, data: parts.metadata },
      ...ramdisks.map((data) => ({ type: SECTION.ramdisk, data })),
      { type: SECTION.signature, data: signatureSection(pcr0, tools.signer) },
    ],
  });
  const file = join(folder, "image.eif");
  await writeFile(file, image);
  return { file, pcrs: await pcrsOf(file, tools.project), bytes: image.length };
}

const printed = z.object({ pcrs: z.record(z.string(), z.string()) });

/** By the command that its users have; it also checks the CRC-32 and the signature. */
async function pcrsOf(file: string, project: string): Promise<Readonly<Record<string, string>>> {
  const json = await run(process.execPath, [join(project, "dist/cli/main.js"), "pcrs", file, "--json"]);
  return printed.parse(JSON.parse(json)).pcrs;
}

async function archiveOf(folder: string): Promise<Uint8Array> {
  await packArchive(folder, `${folder}.cpio`);
  return readFile(`${folder}.cpio`);
}

async function layBase(folder: string, { project, kernel }: ImageTools): Promise<void> {
  for (const name of ["dev", "proc", "sys", "modules"]) await mkdir(join(folder, name), { recursive: true });
  for (const file of kernel.modules) await copyFile(file, join(folder, "modules", basename(file)));
  const source = join(project, "test/nitro-qemu/guest/init.c");
  await run("cc", ["-static", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", join(folder, "init"), source]);
  await chmod(join(folder, "init"), 0o755);
}

async function layApplication(folder: string, source: ImageSource, project: string): Promise<void> {
  const { entry, configuration, args = [] } = source;
  const scripts = await loadImageScripts(project);
  const app = await scripts.appFiles({ entry, configuration });
  await mkdir(folder, { recursive: true });
  await scripts.writeRootfs(await scripts.planRootfs({ app }), join(folder, "rootfs"));
  await writeFile(join(folder, "cmd"), lines([...scripts.ENTRYPOINT, ...args]));
  await writeFile(join(folder, "env"), lines(["LANG=C"]));
}

async function loadImageScripts(project: string): Promise<ImageScripts> {
  const load = (name: string): Promise<object> => import(pathToFileURL(join(project, "scripts/image", name)).href);
  return { ...(await load("bundle.mjs")), ...(await load("rootfs.mjs")) } as ImageScripts;
}

const lines = (items: readonly string[]): string => items.map((item) => `${item}\n`).join("");
