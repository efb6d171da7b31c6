/** What holds for a container image that was built: each check is a title, and what it finds to be wrong. */
import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ADDON, appFiles, PROJECT } from "./bundle.mjs";
import { describeSizes, ENTRYPOINT, listRootfs, NODE, sizesOf } from "./rootfs.mjs";

const MARKER = "SIMULATED-ROOT-DO-NOT-TRUST";

/**
 * Checks an image, and prints its sizes by part.
 * @param options.first, options.second the IDs of two builds of the same sources.
 * @param options.changed the ID of a build of others.
 * @param options.config the image's own settings.
 * @param options.root the folder where its files lie.
 * @param options.configuration the enclave.json that it was built with.
 */
export async function checkImage({ first, second, changed, config, root, configuration }) {
  const image = readRoot(root);
  console.log(describeSizes(await sizesOf(image)));
  return {
    "two builds are one image": first === second ? [] : [first, second],
    "a changed byte of a source is another image": changed === first ? [changed] : [],
    "the image has the files of the checked-in list, and no other": differencesOf(
      listRootfs(image),
      read("test/golden/image-rootfs.txt").trim().split("\n"),
    ),
    "everything is root's, and of the time 0": pathsWhere(
      image,
      ({ mtimeMs, owner }) => mtimeMs !== 0 || owner !== "0:0",
    ),
    "the simulated root's marker is in no file": pathsWhere(image, ({ content }) => content?.includes(MARKER)),
    "the marker would be found": read("dist/simulator/pki/profile.js").includes(MARKER)
      ? []
      : ["it is not where it belongs"],
    "/app is, byte for byte, what the plain script makes": await differencesFromScript(image, configuration),
    "the image starts its program, and that alone": differencesOf(config.Entrypoint, ENTRYPOINT).concat(
      config.Cmd ?? [],
    ),
    "the program finds all that it needs in the image": startProblems(root),
    "so does the native addon": addonProblems(root),
  };
}

/** Everything below `root` by path, as the plan of a root file system has it. */
function readRoot(root) {
  const paths = readdirSync(root, { recursive: true }).sort();
  const entries = paths.map((path) => {
    const { mode, mtimeMs, uid, gid } = lstatSync(join(root, path));
    const isFolder = (mode & 0o170000) === 0o040000;
    const content = isFolder ? {} : { content: readFileSync(join(root, path)) };
    return [path, { mode: mode & 0o7777, mtimeMs, owner: `${uid}:${gid}`, ...content }];
  });
  return new Map(entries);
}

const read = (path) => readFileSync(join(PROJECT, path), "utf8");
const pathsWhere = (entries, wrong) => [...entries].filter(([, entry]) => wrong(entry)).map(([path]) => path);

/** The lines of one list that the other lacks, each with a sign. */
function differencesOf(found, expected) {
  const extra = found.filter((line) => !expected.includes(line)).map((line) => `+ ${line}`);
  return [...extra, ...expected.filter((line) => !found.includes(line)).map((line) => `- ${line}`)];
}

/** The addon aside, which another compiler may have made here. */
async function differencesFromScript(image, configuration) {
  const app = await appFiles({ configuration });
  const paths = [...app.keys()].filter((path) => !path.endsWith(".node"));
  return paths.filter((path) => !image.get(`app/${path}`)?.content.equals(app.get(path)));
}

/** Nothing of AF_VSOCK: what the program reaches is this machine's, which is not an enclave's. */
const ADDRESSES = ["listen", "tls", "tunnel", "services"].flatMap((name) => [`--${name}`, `unix:/nowhere/${name}`]);

/** What init gives its programs, and no more. */
const runIn = (root, [command, ...args]) =>
  spawnSync("chroot", [root, command, ...args], {
    encoding: "utf8",
    env: { PATH: "/sbin:/usr/sbin:/bin:/usr/bin" },
    timeout: 60_000,
  });

/** Runs the program with the image as its root. Without an NSM it does not serve; to say so it has loaded all its modules. */
function startProblems(root) {
  const { status, stdout, stderr } = runIn(root, [...ENTRYPOINT, ...ADDRESSES]);
  const refused = status === 1 && stdout.includes('"code":"ERR_NSM"') && stderr === "";
  return refused ? [] : [`status ${status}`, stdout, stderr];
}

/** It is loaded when it is first needed, which is not before there is an NSM. */
function addonProblems(root) {
  const load = `const module = { exports: {} }; process.dlopen(module, "/app/${ADDON}"); console.log(typeof module.exports.nsm)`;
  const { status, stdout, stderr } = runIn(root, [NODE, "--eval", load]);
  return stdout === "function\n" ? [] : [`status ${status}`, stdout, stderr];
}
