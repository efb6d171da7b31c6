/** Packs a root file system into the archive that the kernel unpacks at boot. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { chmod, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Writes the archive of `root` to `file`, and returns its size in bytes. Not compressed: unpacking costs the guest more. */
export async function packInitramfs(root: string, file: string): Promise<number> {
  for (const program of ["init", "enclave.sh"]) await chmod(join(root, program), 0o755);
  return packArchive(root, file);
}

/** Writes an archive of all that is below `root`, owned by root, to `file`; returns its size in bytes. */
export async function packArchive(root: string, file: string): Promise<number> {
  const command = "find . | cpio --quiet -o -H newc -R 0:0";
  const cpio = spawn("sh", ["-c", command], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(cpio, "close");
  await pipeline(cpio.stdout, createWriteStream(file));
  const [status] = await closed;
  if (status !== 0) throw new Error(`cpio ended with status ${status}`);
  return (await stat(file)).size;
}
