/**
 * Which process wrote something down, so that another one knows later whether it still runs. That can be told of a process
 * in the same PID namespace alone: of another container's or another machine's it cannot.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { hasCode } from "./storage-error.js";

/** What stands for what the system does not tell: only Linux has all of it. */
const UNKNOWN = "-";

/**
 * The process id, when the process started (an id alone is given again), in which boot, in which PID namespace (another
 * container has ids of its own), and on which machine.
 */
export const identityOf = (pid: number): string =>
  [pid, startOf(pid), told(bootId), told(pidNamespace), hostname() || UNKNOWN].join(" ");

/** Whether the process of that identity runs, as far as can be seen from here. */
export const isAlive = (identity: string): boolean => {
  const pid = Number(/^\d{1,10} /.exec(identity)?.[0]);
  return pid > 0 && isRunning(pid) && identityOf(pid) === identity;
};

/** Whether the process runs, or where it would run cannot be seen from here. */
export function mayBeAlive(identity: string): boolean {
  if (isNeighbour(identity)) return isAlive(identity);
  const [[boot, , host], [ourBoot, , ourHost]] = [systemIn(identity), systemIn(identityOf(process.pid))];
  return host !== ourHost || boot === ourBoot; // with an earlier boot of this machine it has ended
}

/** Whether the process is, or was, of this boot and PID namespace, so that its id means the same here. */
export function isNeighbour(identity: string): boolean {
  const [[boot, namespace, host], [ourBoot, ourNamespace, ourHost]] = [
    systemIn(identity),
    systemIn(identityOf(process.pid)),
  ];
  return boot === ourBoot && namespace === ourNamespace && (boot !== UNKNOWN || host === ourHost);
}

const systemIn = (identity: string): readonly string[] => identity.split(" ").slice(2);

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM"); // it runs, as somebody else
  }
}

const startOf = (pid: number): string =>
  told(() => {
    // proc(5): the name in parentheses may hold anything; what follows the last one is field 3 and onwards.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /s, "");
    return fields.split(" ")[19] ?? UNKNOWN;
  });

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
const pidNamespace = (): string => readlinkSync("/proc/self/ns/pid");

function told(ask: () => string): string {
  try {
    return ask();
  } catch (error) {
    if (hasCode(error, "ENOENT")) return UNKNOWN; // no /proc, or the process has just ended
    throw error;
  }
}
