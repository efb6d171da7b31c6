/**
 * The image's root file system, as a list of entries that can be written, listed and measured: Node, the shared libraries
 * that it needs and no other, the application, and one user. Times are SOURCE_DATE_EPOCH, owners root. AWS's kernel and init
 * are not in it: nitro-cli adds them.
 */
import { spawnSync } from "node:child_process";
import { chmod, copyFile, lutimes, mkdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { foldersAbove } from "./bundle.mjs";

/** Where Node lies in the image, as in the official ones. */
export const NODE = "/usr/local/bin/node";
/**
 * What AWS's init is given to run. It looks along no PATH that has Node, so the path is absolute. Node lets 32 MiB of buffers
 * pass before it collects those that nobody uses any more, and its young generation grow as large; half of that is enough here.
 */
export const ENTRYPOINT = [NODE, "--max-semi-space-size=8", "/app/enclave.mjs"];
/** What the program runs as once it has given up root: enclave/machine/privileges.ts. */
const USERS = {
  "etc/group": "root:x:0:\nenclave:x:65532:\n",
  "etc/passwd": "root:x:0:0::/:/nonexistent\nenclave:x:65532:65532::/:/nonexistent\n",
};
/** Empty folders for what the init mounts. */
const MOUNT_POINTS = ["dev", "proc", "sys"];

/**
 * @param options.app contents by path below /app.
 * @param options.node the Node that goes in; the running one unless given. Its libraries are this machine's.
 * @returns entries by path, sorted, folders before what is in them: `{ mode }` with `content`, or `source` for a file that is
 *   copied, or neither for a folder.
 */
export async function planRootfs({ app, node = process.execPath }) {
  const entries = new Map(MOUNT_POINTS.map((path) => [path, folder()]));
  const add = (path, entry) => {
    for (const above of foldersAbove(path)) if (!entries.has(above)) entries.set(above, folder());
    entries.set(path, entry);
  };
  for (const [path, content] of app) add(`app/${path}`, { mode: 0o644, content });
  for (const [path, text] of Object.entries(USERS)) add(path, { mode: 0o644, content: Buffer.from(text) });
  add(NODE.slice(1), { mode: 0o755, source: await realpath(node) });
  for (const { name, source } of await librariesOf(node)) add(name, { mode: 0o755, source });
  return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const folder = () => ({ mode: 0o755 });

/** The shared libraries that the dynamic linker loads for a program, itself included: where it looks for each, and the file. */
async function librariesOf(program) {
  const { status, stdout, stderr, error } = spawnSync("ldd", [program], { encoding: "utf8" });
  if (status !== 0) throw new Error(`ldd ${program}: ${error?.message ?? stderr}`);
  if (stdout.includes("not found")) throw new Error(`${program} lacks a library:\n${stdout}`);
  const paths = [...stdout.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/gm)].map(([, path]) => path);
  return Promise.all(paths.map(async (path) => ({ name: path.slice(1), source: await realpath(path) })));
}

/** Writes a plan into `target`, which is emptied first. `epoch`, in seconds, is the time of everything. */
export async function writeRootfs(entries, target, epoch = 0) {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  for (const [path, { mode, content, source }] of entries) {
    const at = join(target, path);
    if (source !== undefined) await copyFile(source, at);
    else if (content !== undefined) await writeFile(at, content);
    else await mkdir(at);
    await chmod(at, mode); // whatever the umask
  }
  for (const path of ["", ...entries.keys()]) await lutimes(join(target, path), epoch, epoch);
}

/** One line for each entry: type and mode as `ls -l` shows them, and the path in the image. */
export function listRootfs(entries) {
  return [...entries].map(([path, { mode, content, source }]) => {
    const type = content === undefined && source === undefined ? "d" : "-";
    return `${type}${permissions(mode)} /${path}`;
  });
}

function permissions(mode) {
  return [6, 3, 0]
    .map((shift) => ["r", "w", "x"].map((letter, i) => ((mode >> shift) & (4 >> i) ? letter : "-")).join(""))
    .join("");
}

/** Bytes by part, the largest first, and each file's of the application. */
export async function sizesOf(entries) {
  const parts = {};
  const app = {};
  for (const [path, { content, source }] of entries) {
    if (content === undefined && source === undefined) continue;
    const bytes = content?.length ?? (await stat(source)).size;
    const part = partOf(path);
    parts[part] = (parts[part] ?? 0) + bytes;
    if (part === "app") app[`/${path}`] = bytes;
  }
  const sorted = Object.entries(parts).sort(([, a], [, b]) => b - a);
  return { total: sorted.reduce((sum, [, bytes]) => sum + bytes, 0), parts: Object.fromEntries(sorted), app };
}

function partOf(path) {
  if (`/${path}` === NODE) return "node";
  if (/^(usr\/)?lib/.test(path)) return "libraries";
  return path.startsWith("app/") ? "app" : "users";
}

/** `sizesOf` for people. */
export function describeSizes({ total, parts, app }) {
  const line = (name, bytes) => `${name.padEnd(34)}${(bytes / 1024).toFixed(1).padStart(10)} KiB`;
  const lines = (sizes) => Object.entries(sizes).map(([name, bytes]) => line(name, bytes));
  return [...lines(parts), line("total", total), "", ...lines(app)].join("\n");
}

/** The configuration at `path`. @throws when there is none. */
export async function readConfiguration(path) {
  return readFile(path).catch((cause) => {
    throw new Error(`expected the enclave's configuration at ${path}`, { cause });
  });
}
