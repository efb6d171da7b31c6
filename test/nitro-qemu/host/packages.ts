/** Debian packages that the host must have to build something, or to run it. */
import { attempt } from "../../vm/host/command.js";
import { installPackages } from "../../vm/host/requirements.js";

/** Installs those that are missing. @throws Unavailable when that takes another user, or as `online` says. */
export async function providePackages(names: readonly string[], say: (line: string) => void): Promise<void> {
  const { stdout } = await attempt("dpkg", ["--status", ...names]);
  const installed = new Set([...stdout.matchAll(/^Package: (\S+)\nStatus: .* installed$/gm)].map(([, name]) => name));
  await installPackages(
    names.filter((name) => !installed.has(name)),
    say,
  );
}
