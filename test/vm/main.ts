/**
 * `npm run test:vm`: boots a Debian kernel in a virtual machine and runs the checks of guest/ in it, where /dev/nsm and vsock
 * are the kernel's own. Installs what it needs as root on Debian; elsewhere one line says what is missing, and it is skipped.
 *
 * Prints a line per check. The last one is `N passed, N failed`, or `skipped: REASON`; exit code 1 if anything failed.
 * With --verbose the guest's console is shown as well.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./host/command.js";
import { imageEnclave } from "./host/enclave.js";
import { packInitramfs } from "./host/initramfs.js";
import type { Kernel } from "./host/kernel.js";
import { provideKernel } from "./host/kernel.js";
import { runMachine } from "./host/machine.js";
import { Report } from "./host/report.js";
import { provideRequirements, Unavailable } from "./host/requirements.js";
import { layEnclave, layParentRoot } from "./host/root.js";

const PROJECT = fileURLToPath(new URL("../../..", import.meta.url)); // from dist/test/vm
const MEMORY_MIB = 1_280;
const DEADLINE_MS = 300_000;

const startedAt = performance.now();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const progress = (line: string): void => say(`[${((performance.now() - startedAt) / 1000).toFixed(1)} s] ${line}`);

/** Everything from an empty cache to the last check. */
async function main(): Promise<number> {
  await provideRequirements(progress);
  const kernel = await provideKernel(progress);
  await run("sh", [join(PROJECT, "scripts/build-native.sh")]); // the addon that is tested is that of these sources
  const folder = await mkdtemp(join(tmpdir(), "nd-vm-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    const initramfs = await buildInitramfs(folder, kernel);
    progress(`boots ${kernel.name}`);
    const report = new Report({ say, progress, isVerbose: process.argv.includes("--verbose") });
    const onLine = (line: string): void => report.line(line);
    const ended = await runMachine({
      kernel: kernel.image,
      initramfs,
      memoryMib: MEMORY_MIB,
      deadlineMs: DEADLINE_MS,
      onLine,
    });
    return report.finish(ended === "late" ? `the guest was not done after ${DEADLINE_MS / 1000} s` : undefined);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

async function buildInitramfs(folder: string, kernel: Kernel): Promise<string> {
  const [root, file] = [join(folder, "root"), join(folder, "initramfs.cpio")];
  await layParentRoot(root, PROJECT, kernel);
  await layEnclave(root, await imageEnclave(join(folder, "enclave"), PROJECT));
  const bytes = await packInitramfs(root, file);
  progress(`packed the initramfs, ${(bytes / 1e6).toFixed(0)} MB`);
  return file;
}

// A scratch folder and a virtual machine are ended with this process (host/machine.ts), however it ends.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof Unavailable) say(`skipped: ${error.message}`);
  else {
    say(`not ok - the virtual machine: ${error instanceof Error ? error.stack : error}\n0 passed, 1 failed`);
    process.exitCode = 1;
  }
}
