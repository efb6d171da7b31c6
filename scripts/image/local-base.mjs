/**
 * A base image for `npm run test:image`, where no image can be pulled: Debian's packages and this machine's Node and npm, at
 * the paths of the official image. It need not be reproducible, both builds of a test start from it.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, realpath, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { outputOf, run } from "./build.mjs";

const PACKAGES = ["ca-certificates", "gcc", "libc6-dev", "libstdc++6"];
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/** Makes the image `tag`; `folder` is for what it is made of. */
export async function makeBase(tag, folder) {
  const archive = join(folder, "debian.tar");
  run("mmdebstrap", ["--quiet", "--variant=minbase", `--include=${PACKAGES.join(",")}`, "bookworm", archive]);
  const node = join(folder, "node");
  await copyNode(node);
  const container = outputOf("buildah", ["from", "scratch"]).trim();
  run("buildah", ["add", container, archive, "/"]);
  run("buildah", ["add", container, node, "/"]);
  run("buildah", ["commit", "--rm", "--timestamp", "0", container, tag]);
}

/** Node, npm, Node's headers and this machine's certificate authorities. */
async function copyNode(target) {
  const node = await realpath(process.execPath);
  const local = join(target, "usr/local");
  await mkdir(join(local, "bin"), { recursive: true });
  await cp(node, join(local, "bin/node"));
  const headers = join(dirname(node), "../include/node");
  if (existsSync(headers)) await cp(headers, join(local, "include/node"), { recursive: true });
  const npm = join(outputOf("npm", ["root", "--global"]).trim(), "npm");
  await cp(npm, join(local, "lib/node_modules/npm"), { recursive: true });
  for (const name of ["npm", "npx"]) {
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, "bin", name));
  }
  await mkdir(join(target, dirname(CERTIFICATES)), { recursive: true });
  await cp(CERTIFICATES, join(target, CERTIFICATES));
}

/** npm's settings on this machine as one file at `path`: the build's secret, and in no layer. */
export async function writeNpmrc(path) {
  const files = ["globalconfig", "userconfig"].map((name) => outputOf("npm", ["config", "get", name]).trim());
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  await writeFile(path, `${texts.join("\n")}\n`, { mode: 0o600 });
}
