/** The virtual machine: QEMU without hardware virtualisation, a kernel, its initramfs, and a serial console. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

export interface GuestOptions {
  readonly deadlineMs: number;
  /** Each line of the guest's console. */
  readonly onLine: (line: string) => void;
}

export interface MachineOptions extends GuestOptions {
  readonly kernel: string;
  readonly initramfs: string;
  readonly memoryMib: number;
}

/** What the kernel says last. A guest may hang in its restart, rarely: QEMU is given a moment to end by itself. */
const IS_OVER = /reboot: |Kernel panic/;
const OVER_MS = 1_000;

/** Runs the guest until it powers off, panics or is late; it cannot outlive the deadline. Returns why it ended. */
export async function runMachine(options: MachineOptions): Promise<"off" | "late"> {
  return runQemu("qemu-system-x86_64", await qemuOptions(options), options);
}

/** `runMachine` with a QEMU and options of the caller's, among which is the console on standard output. */
export async function runQemu(
  program: string,
  args: readonly string[],
  options: GuestOptions,
): Promise<"off" | "late"> {
  const qemu = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const kill = (): boolean => qemu.kill("SIGKILL");
  process.once("exit", kill);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    kill();
  }, options.deadlineMs);
  createInterface({ input: qemu.stdout }).on("line", (line) => {
    options.onLine(line);
    if (IS_OVER.test(line)) setTimeout(kill, OVER_MS).unref();
  });
  try {
    await once(qemu, "close"); // rejects where there is no QEMU
    return isLate ? "late" : "off";
  } finally {
    clearTimeout(timer);
    process.off("exit", kill);
  }
}

async function qemuOptions({ kernel, initramfs, memoryMib }: MachineOptions): Promise<string[]> {
  return [
    // Without ACPI microvm shows the kernel one CPU.
    ...["-machine", "microvm,acpi=on", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"],
    ...["-m", `${memoryMib}`, "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"],
    ...["-kernel", kernel, "-initrd", initramfs, "-append", await commandLine()],
  ];
}

/** A panic restarts the guest at once, and QEMU ends instead (-no-reboot). */
async function commandLine(): Promise<string> {
  const options = ["console=ttyS0", "quiet", "loglevel=1", "panic=-1", "reboot=t", "rootfstype=ramfs"];
  return [...options, ...(await tscOption())].join(" ");
}

/** The TSC's frequency as the host knows it: on a busy host the guest's own calibration may not come to an end. */
export async function tscOption(): Promise<string[]> {
  const [, mhz] = /^cpu MHz\s*:\s*([\d.]+)$/m.exec(await readFile("/proc/cpuinfo", "utf8")) ?? [];
  return mhz === undefined ? [] : [`tsc_early_khz=${Math.round(Number(mhz) * 1000)}`];
}
