/** Builds the container image of Dockerfile.enclave with docker or buildah, whichever works here. */
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT } from "./bundle.mjs";

/** How to see that a builder works here, and what makes its builds repeat. Cached layers would hide that they do not. */
const BUILDERS = {
  docker: { probe: ["version"], build: ["build", "--build-arg", "SOURCE_DATE_EPOCH=0", "--provenance=false"] },
  buildah: { probe: ["version"], build: ["build", "--timestamp", "0", "--layers=false"] },
};

/** The first builder that works, or undefined. Docker's command without its daemon does not. */
export const findBuilder = () =>
  Object.keys(BUILDERS).find((name) => spawnSync(name, BUILDERS[name].probe, { stdio: "ignore" }).status === 0);

/** Runs a command to its end, its output on stderr. @throws when it fails. */
export function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, { stdio: ["ignore", 2, 2], ...options });
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? `status ${status ?? signal}`}`);
}

/** What a command prints. @throws when it fails, with what it said. */
export function outputOf(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    ...options,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

/**
 * Builds the image.
 * @param options.builder what `findBuilder` found.
 * @param options.configuration the bytes of enclave.json.
 * @param options.extra further arguments for the builder.
 * @param options.change called with the build context's folder before it is built from.
 * @returns the image's ID: the digest of its configuration, which names every layer by digest.
 */
export async function buildImage({ builder, configuration, tag, extra = [], change }) {
  const context = await mkdtemp(join(tmpdir(), "nitro-decrypt-image-"));
  try {
    await copyContext(context, configuration);
    await change?.(context);
    const file = ["--file", join(context, "Dockerfile.enclave"), "--tag", tag];
    run(builder, [...BUILDERS[builder].build, ...file, ...extra, context]);
    return imageId(builder, tag);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

function imageId(builder, tag) {
  const inspect = {
    docker: ["image", "inspect", "--format", "{{.Id}}", tag],
    buildah: ["inspect", "--type", "image", "--format", "{{.FromImageID}}", tag],
  };
  return `sha256:${outputOf(builder, inspect[builder])
    .trim()
    .replace(/^sha256:/, "")}`;
}

/** Exactly what .dockerignore lets through, wherever the configuration comes from. */
async function copyContext(context, configuration) {
  const lines = (await readFile(join(PROJECT, ".dockerignore"), "utf8")).split("\n");
  const names = lines.flatMap((line) => /^!(.+)$/.exec(line)?.[1] ?? []);
  const filter = (path) => !/\/(node_modules|prebuilds|\.env[^/]*|[^/]+\.(key|pem))$/.test(path);
  for (const name of ["Dockerfile.enclave", ".dockerignore", ...names.filter((path) => path !== "enclave.json")]) {
    await cp(join(PROJECT, name), join(context, name), { recursive: true, filter });
  }
  await writeFile(join(context, "enclave.json"), configuration);
}
