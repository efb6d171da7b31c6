/**
 * `npm run test:image`: builds the enclave's container image twice, without a daemon, and looks whether the two are one; that
 * a changed byte of a source gives another; and that the image is what the checked-in lists and the plain script say.
 *
 * It needs buildah and mmdebstrap, which it installs on Debian as root; elsewhere one line says so, and nothing is checked.
 * The base is made of Debian's packages and this machine's Node: what pulls the official image is `npm run image`. The
 * last line is `N passed, N failed`; exit code 1 if anything failed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage, outputOf, run } from "./image/build.mjs";
import { PROJECT } from "./image/bundle.mjs";
import { checkImage } from "./image/checks.mjs";
import { makeBase, writeNpmrc } from "./image/local-base.mjs";

const CONFIGURATION = readFileSync(join(PROJECT, "test/readme/enclave.json"));
/** A source, and a byte of it that reaches the image. */
const CHANGE = { file: "enclave/enclave.ts", from: "the enclave serves", to: "the enclave serveS" };

const works = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** Why this machine cannot do it, or undefined once it can. */
function prepare() {
  if (process.platform !== "linux" || process.getuid() !== 0) return "it needs root on Linux";
  if (works("buildah") && works("mmdebstrap")) return undefined;
  if (!works("apt-get")) return "it needs buildah and mmdebstrap, and there is no apt-get to install them";
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const packages = ["--no-install-recommends", "buildah", "mmdebstrap"];
  for (const args of [["update"], ["install", "-y", ...packages]]) run("apt-get", args, { env });
  return undefined;
}

/** Has buildah keep everything in `folder`, and do nothing that a container cannot. */
function keepBuildahIn(folder) {
  const storage = `[storage]\ndriver = "vfs"\ngraphroot = "${folder}/store"\nrunroot = "${folder}/run"\n`;
  writeFileSync(join(folder, "storage.conf"), storage);
  process.env.CONTAINERS_STORAGE_CONF = join(folder, "storage.conf");
  process.env.BUILDAH_ISOLATION = "chroot";
}

/** Builds three times, and mounts the first image. */
async function build(folder) {
  const [base, npmrc] = ["localhost/nitro-decrypt-base", join(folder, "npmrc")];
  await makeBase(base, folder);
  await writeNpmrc(npmrc);
  const extra = [
    "--pull-never",
    "--network",
    "host",
    "--build-arg",
    `NODE_IMAGE=${base}`,
    "--secret",
    `id=npmrc,src=${npmrc}`,
  ];
  const given = { builder: "buildah", configuration: CONFIGURATION, extra };
  const first = await timed("first build", () => buildImage({ ...given, tag: "localhost/first" }));
  const second = await timed("second build", () => buildImage({ ...given, tag: "localhost/second" }));
  const changed = await timed("build of a changed source", () =>
    buildImage({ ...given, tag: "localhost/changed", change: changeSource }),
  );
  const container = outputOf("buildah", ["from", "--pull-never", "localhost/first"]).trim();
  const { config } = JSON.parse(outputOf("buildah", ["inspect", "--type", "image", "localhost/first"])).OCIv1;
  return { first, second, changed, config, root: outputOf("buildah", ["mount", container]).trim() };
}

async function timed(what, work) {
  const start = performance.now();
  const result = await work();
  console.log(`${what}: ${result}, ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return result;
}

function changeSource(context) {
  const path = join(context, CHANGE.file);
  const source = readFileSync(path, "utf8");
  if (!source.includes(CHANGE.from)) throw new Error(`expected "${CHANGE.from}" in ${CHANGE.file}`);
  writeFileSync(path, source.replace(CHANGE.from, CHANGE.to));
}

const reason = prepare();
if (reason !== undefined) console.log(`skipped: ${reason}`);
else {
  const folder = mkdtempSync(join(tmpdir(), "nitro-decrypt-check-image-"));
  try {
    keepBuildahIn(folder);
    report(await checkImage({ ...(await build(folder)), configuration: CONFIGURATION }));
  } finally {
    spawnSync("buildah", ["rm", "--all"], { stdio: "ignore" }); // unmounts what it holds in `folder`
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Prints what was found wrong under each title, and counts. */
function report(checks) {
  const titles = Object.entries(checks);
  for (const [title, wrong] of titles)
    console.log([`${wrong.length === 0 ? "ok" : "FAILED"}: ${title}`, ...wrong].join("\n    "));
  const failed = titles.filter(([, wrong]) => wrong.length > 0).length;
  console.log(`${titles.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}
