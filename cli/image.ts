/**
 * The enclave image that the simulated NSM measures: what this installation would put into one. Changing a byte of the
 * enclave's code changes PCR0 and PCR2, another Node changes PCR0 and PCR1, as on real hardware.
 *
 * In the kernel's place stands the description of the running Node; the first ramdisk has the package's manifest and
 * lock file, which pin every dependency; the second one has the modules of enclave/, shared/, transport/ and vsock/.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { utf8 } from "../shared/bytes.js";
import type { EnclaveImage, RamdiskEntries, RamdiskEntry } from "../simulator/image.js";
import { ramdiskOf } from "../simulator/image.js";

/** The parts whose modules run inside the enclave. */
const MEASURED_PARTS = ["enclave", "shared", "transport", "vsock"] as const;

/** Runs the service in an image; a constant, because on real hardware it is part of the image. */
const COMMAND_LINE = "node cli/main.js enclave --config /etc/nitro-decrypt/enclave.json";

/** The parts of an image before they are packed: contents by path. */
export interface ImageFiles {
  readonly kernel: Uint8Array;
  readonly cmdline: string;
  readonly base: ReadonlyMap<string, Uint8Array>;
  readonly application: ReadonlyMap<string, Uint8Array>;
}

/** The files of this installation. */
export async function installedImageFiles(): Promise<ImageFiles> {
  const code = fileURLToPath(new URL("..", import.meta.url)); // dist/, where each part has a folder
  const { versions, platform, arch } = process;
  return {
    kernel: utf8(JSON.stringify({ ...versions, platform, arch })),
    cmdline: COMMAND_LINE,
    base: await readManifests(existsSync(join(code, "package.json")) ? code : join(code, "..")),
    application: await readModules(code),
  };
}

async function readManifests(root: string): Promise<Map<string, Uint8Array>> {
  const present = ["package.json", "package-lock.json"].filter((name) => existsSync(join(root, name)));
  return new Map(await Promise.all(present.map(async (name) => [name, await readFile(join(root, name))] as const)));
}

async function readModules(code: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const part of MEASURED_PARTS) {
    for (const name of await readdir(join(code, part), { recursive: true })) {
      // .ts where a test runs the sources themselves
      if (!/\.[jt]s$/.test(name) || name.endsWith(".d.ts")) continue;
      files.set(`${part}/${name}`, await readFile(join(code, part, name)));
    }
  }
  return files;
}

/** Packs the files as the hypervisor would find them. */
export function packImage({ kernel, cmdline, base, application }: ImageFiles): EnclaveImage {
  return { kernel, cmdline: utf8(cmdline), ramdisks: [ramdiskOf(entriesOf(base)), ramdiskOf(entriesOf(application))] };
}

/** Files as ramdisk entries, with the folders that they lie in. */
function entriesOf(files: ReadonlyMap<string, Uint8Array>): RamdiskEntries {
  const entries = new Map<string, RamdiskEntry>();
  for (const [path, content] of files) {
    const names = path.split("/");
    for (let depth = 1; depth < names.length; depth++) {
      entries.set(names.slice(0, depth).join("/"), { kind: "folder" });
    }
    entries.set(path, { kind: "file", content });
  }
  return entries;
}
