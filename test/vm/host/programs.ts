/**
 * What runs in the guest outside of the enclave: the command line, whose `parent` it is, and the test. Bundled, because without
 * hardware virtualisation Node would take most of the time to find and read a thousand modules.
 */
import { cp, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { build } from "esbuild";

/** Programs by name, all in one folder: who starts another one looks for it there. */
const PROGRAMS = {
  main: "dist/cli/main.js",
  guest: "dist/test/vm/guest/main.js",
  "nsm-device": "dist/test/vm/guest/nsm-device.js",
  init: "dist/test/vm/guest/init.js",
  "half-request": "dist/test/vm/guest/half-request.js",
};
/** CommonJS modules ask for each other and for Node's in their own way. */
const REQUIRE =
  'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);';

/** What the addon's own tests check where there is a kernel with AF_VSOCK. It takes the compiled modules as they are. */
const VSOCK_CHECKS = "test/vsock/programs/real-vsock.mjs";
const isProgram = (path: string): boolean => !/\.(d\.ts|map)$/.test(path);

/** Lays the programs in `app`/dist/cli, with the addon beside them, which must have been built. */
export async function layPrograms(app: string, project: string): Promise<void> {
  const outdir = join(app, "dist/cli");
  await mkdir(outdir, { recursive: true });
  await cp(join(project, "package.json"), join(app, "package.json")); // says the version
  await build({
    absWorkingDir: project,
    entryPoints: PROGRAMS,
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    banner: { js: REQUIRE },
    logLevel: "error",
  });
  await cp(join(project, "vsock/prebuilds"), join(outdir, "prebuilds"), { recursive: true });
  await cp(join(project, "vsock/prebuilds"), join(app, "dist/vsock/prebuilds"), { recursive: true });
  await cp(join(project, "dist/vsock"), join(app, "dist/vsock"), { recursive: true, filter: isProgram });
  await cp(join(project, VSOCK_CHECKS), join(app, "dist/cli", basename(VSOCK_CHECKS)));
}
