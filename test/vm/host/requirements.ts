/** What the host must have to run the virtual machine; on Debian it is installed where it is missing. */
import { userInfo } from "node:os";
import { attempt, run } from "./command.js";

/** Programs, and the Debian packages that have them. */
const PROGRAMS = [
  ["qemu-system-x86_64", "qemu-system-x86"],
  ["busybox", "busybox-static"],
  ["cpio", "cpio"],
  ["cc", "build-essential"],
] as const;

/** The virtual machine cannot run on this host, for a reason that is no fault of the project. */
export class Unavailable extends Error {}

/** Does what needs the package registry. Its failure is a failure in continuous integration (CI=true); else it is `Unavailable`. */
export async function online<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    if (process.env.CI === "true" || !(cause instanceof Error)) throw cause;
    throw new Unavailable(cause.message, { cause });
  }
}

/**
 * Sees to it that every program is there.
 * @throws Unavailable when one is missing and cannot be installed: not Debian, not root, and as `online` says.
 */
export async function provideRequirements(say: (line: string) => void): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64") throw new Unavailable("needs Linux on x86-64");
  if ((await attempt("apt-get", ["--version"])).status !== 0) throw new Unavailable("needs Debian's apt-get");
  await installPackages(await missingPackages(), say);
}

/** Installs Debian packages, if there are any to install. @throws Unavailable when that takes another user, or as `online` says. */
export async function installPackages(missing: readonly string[], say: (line: string) => void): Promise<void> {
  if (missing.length === 0) return;
  if (userInfo().uid !== 0) throw new Unavailable(`as root: apt-get install ${missing.join(" ")}`);
  say(`installs ${missing.join(", ")}`);
  await online(async () => {
    await run("apt-get", ["update", "-qq"]);
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing]);
  });
}

async function missingPackages(): Promise<string[]> {
  const missing: string[] = [];
  for (const [program, name] of PROGRAMS) {
    if (!(await isUsable(program))) missing.push(name);
  }
  return missing;
}

/** A busybox that needs shared libraries would not run in the guest. */
async function isUsable(program: string): Promise<boolean> {
  const path = await programPath(program);
  if (path === undefined) return false;
  return program !== "busybox" || (await attempt("ldd", [path])).status !== 0;
}

/** Where a program lies, or undefined. */
export async function programPath(program: string): Promise<string | undefined> {
  const { status, stdout } = await attempt("sh", ["-c", `command -v ${program}`]);
  return status === 0 ? stdout.trim() : undefined;
}
