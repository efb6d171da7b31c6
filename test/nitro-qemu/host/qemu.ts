/**
 * QEMU with its nitro-enclave machine, which no Debian package has: built once from the source that Debian packages, of the
 * one target and with nothing that the machine does not need, and kept in a folder of the user's cache.
 */
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attempt, run } from "../../vm/host/command.js";
import { cacheFolder } from "../../vm/host/kernel.js";
import { online } from "../../vm/host/requirements.js";
import { providePackages } from "./packages.js";

const MACHINE = "nitro-enclave";
const PROGRAM = "qemu-system-x86_64";
const DEADLINE_MS = 40 * 60_000;

/** Compiler and libraries; the test's init and its certificate are made with them, too. */
const PACKAGES = [
  ...["bison", "bzip2", "flex", "gcc", "libc6-dev", "ninja-build", "openssl", "pkg-config", "python3-venv", "xz-utils"],
  ...["libcbor-dev", "libfdt-dev", "libglib2.0-dev", "libgnutls28-dev", "zlib1g-dev"],
];

/** What QEMU's configure asks for; Debian's source has these packages taken out. */
const PYTHON_PACKAGES = ["meson==1.5.2", "pycotap==1.3.1"];

const CONFIGURE = [
  ...["--target-list=x86_64-softmmu", "--without-default-features", "--enable-system", "--enable-tcg"],
  ...["--enable-gnutls", "--enable-libcbor", "--enable-vhost-user", "--enable-fdt=system"],
  ...["--disable-docs", "--disable-download", "--disable-install-blobs"],
];

/** The program, from the cache where it is there already. `apt` are options that name a release whose QEMU is 9.2 or later. */
export async function provideQemu(say: (line: string) => void, apt: readonly string[]): Promise<string> {
  const folder = cacheFolder("qemu-nitro");
  const program = join(folder, PROGRAM);
  await providePackages(PACKAGES, say); // a program of the cache needs its libraries as well
  if (existsSync(program)) return program;
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, "scratch-"));
  try {
    const source = await online(() => fetchSource(scratch, apt));
    say(`builds ${source}, which takes some minutes, once`);
    const built = await build(scratch, join(scratch, source));
    await copyFile(built, join(scratch, "whole"));
    await rename(join(scratch, "whole"), program);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return program;
}

/** The name of the source's folder in `folder`. Without Debian's patches: none is for this machine. */
async function fetchSource(folder: string, apt: readonly string[]): Promise<string> {
  await run("apt-get", [...apt, "source", "-qq", "--download-only", "--tar-only", "qemu"], { cwd: folder });
  const archive = (await readdir(folder)).find((file) => file.includes(".orig.tar.")) ?? "";
  await run("tar", ["-xf", archive], { cwd: folder });
  await run("python3", ["-m", "venv", "venv"], { cwd: folder });
  await run("venv/bin/pip", ["install", "--quiet", ...PYTHON_PACKAGES], { cwd: folder });
  return (await readdir(folder)).find((name) => /^qemu-\d/.test(name)) ?? "";
}

async function build(scratch: string, source: string): Promise<string> {
  await standInForFirmware(join(source, "pc-bios"));
  const cwd = join(scratch, "build");
  await mkdir(cwd);
  const python = `--python=${join(scratch, "venv/bin/python3")}`;
  await run("nice", ["-n", "15", join(source, "configure"), python, ...CONFIGURE], { cwd, deadlineMs: DEADLINE_MS });
  await run("nice", ["-n", "15", "ninja", PROGRAM], { cwd, deadlineMs: DEADLINE_MS });
  const program = join(cwd, PROGRAM);
  const { stdout } = await attempt(program, ["-machine", "help"]);
  if (!stdout.includes(MACHINE)) throw new Error(`the QEMU that was built has no machine ${MACHINE}`);
  return program;
}

/** Debian's source is without firmware that is built in. Its files are only looked for: this machine has no use for them. */
async function standInForFirmware(folder: string): Promise<void> {
  const names = (await readFile(join(folder, "meson.build"), "utf8")).match(/\bedk2-[a-z0-9_-]+\.fd\b/g) ?? [];
  for (const name of names) await writeFile(join(folder, `${name}.bz2`), "");
}
