/**
 * The image of this project as the simulated platform measures it: the files that the Dockerfile copies, with the library
 * that they run on. Change a byte of a function, and PCR0 and PCR2 change, as on real hardware.
 *
 * The values are not those of a real image: that one is built by nitro-cli from the container image, with a kernel and an
 * init of its own. Third-party packages stand here by the lock file that pins them.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EnclaveImage, RamdiskEntry } from "nitro-decrypt/simulator";
import { readImage } from "nitro-decrypt/simulator";

/** As in the Dockerfile. */
const COMMAND_LINE = "/usr/local/bin/node /app/dist/main.js";
/** What the Dockerfile copies from the build, besides enclave.json and settings.json. */
const APPLICATION = ["dist/main.js", "dist/settings.js", "dist/functions"] as const;
const MANIFESTS = ["package.json", "package-lock.json"] as const;
/** The parts of the library that run inside an enclave. */
const LIBRARY = ["enclave", "shared", "transport", "vsock"] as const;

/** Contents by path below /app. */
export type ImageFiles = ReadonlyMap<string, Uint8Array>;

/**
 * The files of this project, which must be built and is the current folder.
 * @param release enclave.json and settings.json of the release that is measured.
 */
export async function readImageFiles(release: {
  readonly configuration: Uint8Array;
  readonly settings: Uint8Array;
}): Promise<ImageFiles> {
  const library = dirname(dirname(fileURLToPath(import.meta.resolve("nitro-decrypt/enclave"))));
  return new Map([
    ["enclave.json", release.configuration],
    ["settings.json", release.settings],
    ...(await read(".", [...MANIFESTS.filter((name) => existsSync(name)), ...APPLICATION])),
    ...(await read(library, LIBRARY, "node_modules/nitro-decrypt/dist/")),
  ]);
}

/** Every module and manifest at or below `names`. */
async function read(folder: string, names: readonly string[], prefix = ""): Promise<[string, Uint8Array][]> {
  const listed = names.map(async (name) => {
    if (/\.js(on)?$/.test(name)) return [name];
    const below = await readdir(join(folder, name), { recursive: true });
    return below.filter((path) => path.endsWith(".js")).map((path) => `${name}/${path}`);
  });
  const paths = (await Promise.all(listed)).flat();
  return Promise.all(paths.map(async (path) => [`${prefix}${path}`, await readFile(join(folder, path))]));
}

/** Packs files as an image: a kernel, the init, and /app. */
export function packImage(files: ImageFiles): Promise<EnclaveImage> {
  const { versions, platform, arch } = process;
  const entries = new Map<string, RamdiskEntry>();
  for (const [path, content] of files) {
    const names = `app/${path}`.split("/");
    for (let depth = 1; depth < names.length; depth++) entries.set(names.slice(0, depth).join("/"), { kind: "folder" });
    entries.set(names.join("/"), { kind: "file", content });
  }
  return readImage({
    kernel: Buffer.from(JSON.stringify({ ...versions, platform, arch })), // stands for the kernel and the base image
    cmdline: COMMAND_LINE,
    ramdisks: [Buffer.from("init"), { entries }],
  });
}
