/**
 * apt for the packages that Debian 12 itself has too old: those of its backports, from the archive that the host's apt is
 * configured with. Lists and settings lie in a folder of their own: the host's stay as they are.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attempt, run } from "../../vm/host/command.js";
import { Unavailable } from "../../vm/host/requirements.js";

/** Debian's keys, for a host whose apt trusts them for its own archive alone and not for all. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Options for apt-get and apt-cache, with which they know packages and sources of that suite and no others. */
export async function openApt(folder: string): Promise<readonly string[]> {
  await mkdir(join(folder, "lists/partial"), { recursive: true });
  await mkdir(join(folder, "cache"), { recursive: true });
  await writeFile(join(folder, "sources.list"), await sources());
  const settings = {
    "Dir::Etc::SourceList": join(folder, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "APT::Sandbox::User": "root", // its own user may not write to a folder of the caller's
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await attempt("apt-get", [...options, "update", "-qq"]); // without a network, the lists of the last time
  return options;
}

async function sources(): Promise<string> {
  const release = await codename();
  const suite = release === "bookworm" ? "bookworm-backports" : release;
  const place = `${existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : ""}${await archiveOf(release)} ${suite} main`;
  return `deb ${place}\ndeb-src ${place}\n`;
}

async function codename(): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const [, name] = /^VERSION_CODENAME=(\w+)$/m.exec(release) ?? [];
  if (!/^ID=debian$/m.test(release) || name === undefined) throw new Unavailable("needs Debian");
  return name;
}

/** Where apt has the packages of a release from. */
async function archiveOf(release: string): Promise<string> {
  const targets = await run("apt-get", ["indextargets", "--format", "$(CREATED_BY) $(CODENAME) $(REPO_URI)"]);
  const prefix = `Packages ${release} `;
  const line = targets.split("\n").find((target) => target.startsWith(prefix));
  if (line === undefined) throw new Unavailable(`apt knows no archive of ${release}`);
  return line.slice(prefix.length);
}
