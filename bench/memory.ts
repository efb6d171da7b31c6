/** The memory of another process, as Linux tells it (proc(5)). NaN where there is no /proc. */
import { readFile, writeFile } from "node:fs/promises";

/** Resident memory, in MiB. */
export const residentMebibytes = (pid: number): Promise<number> => mebibytes(pid, "VmRSS");

/** The most that was resident since the process began, or since `forgetPeak`, in MiB: nothing between two looks is missed. */
export const peakMebibytes = (pid: number): Promise<number> => mebibytes(pid, "VmHWM");

/** Lets the peak be what is resident now. */
export async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, "5").catch(() => undefined); // no /proc, and so no figures either
}

async function mebibytes(pid: number, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
  return kibibytes === undefined ? Number.NaN : Number(kibibytes) / 1_024;
}
