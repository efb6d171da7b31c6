/** Debian packages that the host must have to build something, or to run it. */
import { userInfo } from "node:os";
import { attempt, run } from "../../vm/host/command.js";
import { online, Unavailable } from "../../vm/host/requirements.js";

/** Installs those that are missing. @throws Unavailable when that takes another user, or as `online` says. */
export async function providePackages(names: readonly string[], say: (line: string) => void): Promise<void> {
  const { stdout } = await attempt("dpkg", ["--status", ...names]);
  const installed = new Set([...stdout.matchAll(/^Package: (\S+)\nStatus: .* installed$/gm)].map(([, name]) => name));
  const missing = names.filter((name) => !installed.has(name));
  if (missing.length === 0) return;
  if (userInfo().uid !== 0) throw new Unavailable(`as root: apt-get install ${missing.join(" ")}`);
  say(`installs ${missing.join(", ")}`);
  await online(async () => {
    await run("apt-get", ["update", "-qq"]);
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing]);
  });
}
