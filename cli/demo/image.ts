/** The demo's two enclave images on disk: this installation's, and the same with one byte of its code changed. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { toHex } from "../../shared/bytes.js";
import { measureImage } from "../../shared/eif/eif.js";
import type { ImageFiles } from "../image.js";
import { installedImageFiles, packImage } from "../image.js";
import type { ImageOnDisk } from "../local-stack.js";

type ImagePcrs = { readonly 0: string; readonly 1: string; readonly 2: string };

/** What PCR0, 1 and 2 are in debug mode. */
export const ZERO_PCR = "0".repeat(96);

export interface DemoImages {
  readonly original: ImageOnDisk;
  readonly changed: ImageOnDisk;
  /** The file in which the other one differs. */
  readonly changedFile: string;
  /** Of the original: what whoever built it publishes, before anything is started. */
  readonly referencePcrs: ImagePcrs;
  /** Of the changed one. */
  readonly changedPcrs: ImagePcrs;
  /** How many files are measured. */
  readonly fileCount: number;
}

export async function writeImages(folder: string): Promise<DemoImages> {
  const files = await installedImageFiles();
  const { application, changedFile } = changeOneByte(files.application);
  const changed = { ...files, application };
  return {
    original: await writeImage(join(folder, "image"), files),
    changed: await writeImage(join(folder, "changed-image"), changed),
    changedFile,
    referencePcrs: await measure(files),
    changedPcrs: await measure(changed),
    fileCount: files.base.size + files.application.size,
  };
}

async function measure(files: ImageFiles): Promise<ImagePcrs> {
  const { pcr0, pcr1, pcr2 } = await measureImage(packImage(files));
  return { 0: toHex(pcr0), 1: toHex(pcr1), 2: toHex(pcr2) };
}

function changeOneByte(application: ImageFiles["application"]) {
  const changedFile = [...application.keys()].filter((path) => path.startsWith("enclave/")).sort()[0];
  const content = changedFile === undefined ? undefined : application.get(changedFile);
  if (changedFile === undefined || content === undefined) throw new TypeError("unreachable: the enclave has modules");
  const changed = new Uint8Array(content);
  changed[0] = (changed[0] ?? 0) ^ 1;
  return { application: new Map(application).set(changedFile, changed), changedFile };
}

async function writeImage(folder: string, { kernel, cmdline, base, application }: ImageFiles): Promise<ImageOnDisk> {
  const ramdisks = [join(folder, "base"), join(folder, "application")] as const;
  const files = [
    [join(folder, "kernel"), kernel] as const,
    ...[...base].map(([path, content]) => [join(ramdisks[0], path), content] as const),
    ...[...application].map(([path, content]) => [join(ramdisks[1], path), content] as const),
  ];
  for (const parent of new Set(files.map(([path]) => dirname(path)))) await mkdir(parent, { recursive: true });
  await Promise.all(files.map(([path, content]) => writeFile(path, content)));
  return { kernel: join(folder, "kernel"), cmdline, ramdisks };
}
