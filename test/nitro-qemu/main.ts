/**
 * `npm run test:nitro-qemu`: two enclave image files in QEMU's nitro-enclave machine, whose NSM and vsock this project did not
 * write (docs/nitro-qemu.md). In the first a program of the test checks the machine with the enclave's own clients of it, the
 * second is the production program. Builds QEMU when it is run for the first time.
 *
 * Prints a line per check. The last one is `N passed, N failed`, or `skipped: REASON`; exit code 1 if anything failed.
 * With --verbose the guests' consoles are shown as well.
 */
import { equal, match } from "node:assert/strict";
import { rmSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Services } from "../../parent/services.js";
import { PORTS } from "../../shared/address.js";
import { parseEif } from "../../shared/eif/eif.js";
import type { EnclaveState } from "../../shared/enclave-state.js";
import { run } from "../vm/host/command.js";
import { cacheFolder, provideKernel } from "../vm/host/kernel.js";
import { Report } from "../vm/host/report.js";
import { provideRequirements, Unavailable } from "../vm/host/requirements.js";
import { openApt } from "./host/apt.js";
import type { HostCheck } from "./host/host-checks.js";
import { heartbeatCheck, productionChecks, reportChecks } from "./host/host-checks.js";
import type { BuiltImage, ImageSource, ImageTools } from "./host/image.js";
import { buildImage } from "./host/image.js";
import type { Programs, RunOptions, RunResult } from "./host/machine.js";
import { refusalOf, runEnclaveMachine } from "./host/machine.js";
import { serveParent, serveVsockChecks } from "./host/parent.js";
import { provideQemu } from "./host/qemu.js";
import { createSigner } from "./host/signature.js";
import type { VsockDevice } from "./host/vsock-device.js";
import { provideVsockDevice } from "./host/vsock-device.js";
import { HOST_CID } from "./launch.js";

const PROJECT = fileURLToPath(new URL("../../..", import.meta.url)); // from dist/test/nitro-qemu
/** The NSM's driver, and what it and vsock are found by in a machine without PCI. */
const MODULES = ["virtio_mmio", "nsm", "vmw_vsock_virtio_transport"];
const DEADLINE_MS = 240_000;

const startedAt = performance.now();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const progress = (line: string): void => say(`[${((performance.now() - startedAt) / 1000).toFixed(1)} s] ${line}`);

/** What both boots share. */
interface Bench {
  readonly folder: string;
  readonly tools: ImageTools;
  readonly programs: Programs;
  readonly report: Report;
}

/** Everything from an empty cache to the last check. */
async function main(): Promise<number> {
  await provideRequirements(progress);
  const apt = await openApt(cacheFolder("apt"));
  const programs = { qemu: await provideQemu(progress, apt), vsockDevice: await provideVsockDevice(progress) };
  const kernel = await provideKernel(progress, { modules: MODULES, apt });
  await run("sh", [join(PROJECT, "scripts/build-native.sh")]);
  const folder = await mkdtemp(join(tmpdir(), "nd-nq-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  const tools = { project: PROJECT, kernel, signer: await createSigner(folder) };
  const report = new Report({ say, progress, isVerbose: process.argv.includes("--verbose") });
  const bench = { folder, tools, programs, report };
  const ends = [await checkMachine(bench), await runProduction(bench)];
  return report.finish(ends.includes("late") ? `a guest was not done after ${DEADLINE_MS / 1000} s` : undefined);
}

/** The first boot: the checks of guest/. */
async function checkMachine(bench: Bench): Promise<RunResult["ended"]> {
  const image = await imageOf(bench, "checks", { entry: "dist/test/nitro-qemu/guest/main.js" });
  const result = await boot(bench, { image, onLine: (line) => bench.report.line(line), onDevice: serveVsockChecks });
  await reportChecks(bench.report, [heartbeatCheck(result), changedImageCheck(bench, image)]);
  return result.ended;
}

/** One bit of the application's ramdisk, in the middle of the file. */
const changedImageCheck = ({ folder, programs }: Bench, { file }: BuiltImage): HostCheck => ({
  name: "an image with a changed bit: QEMU's reader and ours both find its CRC-32 wrong",
  async run() {
    const [changed, sockets] = [join(folder, "changed.eif"), await mkdtemp(join(folder, "s-"))];
    const bytes = await readFile(file);
    const middle = bytes.length >> 1;
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
    await writeFile(changed, bytes);
    equal(parseEif(bytes).crcOk, false);
    match(await refusalOf(programs, sockets, changed), /CRC mismatch/);
  },
});

/** The second boot: the image as it is shipped, but that its parent is at another CID. */
async function runProduction(bench: Bench): Promise<RunResult["ended"]> {
  const configuration = await readFile(join(PROJECT, "test/readme/enclave.json"));
  const at = (port: number): string => `vsock://${HOST_CID}:${port}`;
  const args = [`--services=${at(PORTS.services)}`, `--tunnel=${at(PORTS.tunnel)}`];
  const image = await imageOf(bench, "production", { entry: "dist/enclave/main.js", configuration, args });
  const console: string[] = [];
  const states: EnclaveState[] = [];
  const onLine = (line: string): void => {
    console.push(line.trimEnd());
    bench.report.line(line);
  };
  let services: Services | undefined;
  const onDevice = async (device: VsockDevice): Promise<void> => {
    services = await serveParent(device, states);
  };
  const result = await boot(bench, { image, onLine, onDevice });
  await services?.close();
  await reportChecks(bench.report, productionChecks({ configuration, console, states, result }));
  return result.ended;
}

async function imageOf({ folder, tools }: Bench, name: string, source: ImageSource): Promise<BuiltImage> {
  const image = await buildImage(join(folder, name), source, tools);
  progress(`made the image ${name}, ${(image.bytes / 1e6).toFixed(0)} MB; boots it`);
  return image;
}

async function boot(
  { folder, programs }: Bench,
  options: Pick<RunOptions, "image" | "onLine" | "onDevice">,
): Promise<RunResult> {
  const sockets = await mkdtemp(join(folder, "s-"));
  return runEnclaveMachine({ programs, folder: sockets, deadlineMs: DEADLINE_MS, ...options });
}

// A scratch folder, a virtual machine and its device are ended with this process, however it ends.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof Unavailable) say(`skipped: ${error.message}`);
  else {
    say(`not ok - the nitro-enclave machine: ${error instanceof Error ? error.stack : error}\n0 passed, 1 failed`);
    process.exitCode = 1;
  }
}
