/** QEMU's nitro-enclave machine, with an enclave image. */
import { createServer } from "node:net";
import { attempt } from "../../vm/host/command.js";
import { runQemu, tscOption } from "../../vm/host/machine.js";
import { HEARTBEAT_PORT, INSTANCE_ID, MODULE_ID, ROLE_ARN } from "../launch.js";
import type { BuiltImage } from "./image.js";
import { VsockDevice } from "./vsock-device.js";

/** Where Debian's packages have the firmware that a QEMU without its own looks for. */
const FIRMWARE = ["/usr/share/qemu", "/usr/share/seabios"];
const MEMORY_MIB = 1024;
const HEARTBEAT = 0xb7;
const REFUSAL_MS = 30_000;

export interface Programs {
  readonly qemu: string;
  readonly vsockDevice: string;
}

export interface RunOptions {
  readonly programs: Programs;
  /** For sockets; it must have a short name. */
  readonly folder: string;
  readonly image: BuiltImage;
  readonly deadlineMs: number;
  readonly onLine: (line: string) => void;
  /** Makes what the guest finds at the host, before it boots. */
  readonly onDevice: (device: VsockDevice) => Promise<void>;
}

export interface RunResult {
  readonly ended: "off" | "late";
  /** What came to the port of the heartbeat. */
  readonly heartbeats: readonly number[];
}

/** Boots an enclave and waits until it restarts, panics or is late. */
export async function runEnclaveMachine(options: RunOptions): Promise<RunResult> {
  const device = await VsockDevice.start(options.programs.vsockDevice, options.folder);
  try {
    const heartbeats: number[] = [];
    await answerHeartbeats(device.portPath(HEARTBEAT_PORT), heartbeats);
    await options.onDevice(device);
    const args = [...machineOptions(device.socket), ...(await imageOptions(options.image))];
    return { ended: await runQemu(options.programs.qemu, args, options), heartbeats };
  } finally {
    device.stop();
  }
}

/** What QEMU says of an image that it does not boot. */
export async function refusalOf(programs: Programs, folder: string, file: string): Promise<string> {
  const device = await VsockDevice.start(programs.vsockDevice, folder);
  try {
    const options = [...machineOptions(device.socket), "-kernel", file];
    const { status, stderr } = await attempt(programs.qemu, options, { deadlineMs: REFUSAL_MS });
    return status === 1 ? stderr.trim() : `status ${status}`;
  } finally {
    device.stop();
  }
}

/** As nitro-cli does: one byte, which is sent back. */
async function answerHeartbeats(path: string, heartbeats: number[]): Promise<void> {
  const server = createServer((socket) => {
    socket.once("data", (bytes) => {
      heartbeats.push(...bytes);
      socket.end(Uint8Array.of(HEARTBEAT));
    });
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

/** Debian's kernel finds its devices by ACPI, without which Nitro's machine is by itself. */
function machineOptions(vsock: string): string[] {
  const machine = ["nitro-enclave", "vsock=vsock", "acpi=on", `id=${MODULE_ID}`];
  const parent = [`parent-role=${ROLE_ARN}`, `parent-id=${INSTANCE_ID}`];
  return [
    ...FIRMWARE.flatMap((folder) => ["-L", folder]),
    ...["-machine", [...machine, ...parent].join(","), "-chardev", `socket,id=vsock,path=${vsock}`],
    ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", `${MEMORY_MIB}`],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"],
  ];
}

/** QEMU adds its own command line to the image's and does not measure it: the place for what the guest is to find. */
async function imageOptions({ file, pcrs }: BuiltImage): Promise<string[]> {
  const expected = Object.entries(pcrs).map(([index, value]) => `nitro_qemu.pcr${index}=${value}`);
  return ["-kernel", file, "-append", [...expected, ...(await tscOption())].join(" ")];
}
