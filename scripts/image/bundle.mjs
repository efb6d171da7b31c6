/**
 * The enclave's program as one file: what its entry reaches, bundled by esbuild as Node itself would resolve it, so that the
 * image holds the code that the tests run. The same sources and the same node_modules give the same bytes anywhere.
 */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
/** The program of the image, in the project's folder. */
export const ENTRY = "dist/enclave/main.js";
/** Cedar's engine; its module reads it from its own folder. */
const WASM = "node_modules/@cedar-policy/cedar-wasm/nodejs/cedar_wasm_bg.wasm";
/** vsock's binary, below the folder of its module. */
export const ADDON = `prebuilds/linux-${process.arch}.node`;
/** The one module that looks for a file beside itself. */
const READS_BESIDE_ITSELF = ["node_modules/@cedar-policy/cedar-wasm/nodejs/cedar_wasm.js"];
/**
 * The SDK's chain of credential sources (environment, files, processes, instance metadata) has no place in an enclave, which
 * is given its credentials. Without it the image has nothing that starts processes.
 */
const REPLACED = {
  "@aws-sdk/credential-provider-node": fileURLToPath(new URL("no-credential-chain.mjs", import.meta.url)),
};

const OPTIONS = {
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  conditions: [], // not even "module", which esbuild knows and Node does not
  alias: REPLACED,
  define: { __dirname: "import.meta.dirname" },
  // CommonJS modules ask for built-ins in this way. There is no other `require` in the image: it has no modules to find.
  banner: { js: "const require = process.getBuiltinModule;" },
  charset: "utf8",
  legalComments: "none", // LICENSES.txt has the licences in full
  metafile: true,
  write: false,
  logLevel: "error",
};

/**
 * @param options.entry a built module of the project.
 * @param options.project its folder, with its node_modules; this one unless given.
 * @returns the bundle's text, the licences of what is in it, and what is in it: the project's own modules, packages as
 *   `name@version`, and Node's modules, each sorted.
 * @throws when something else than Node's own modules would be needed at run time.
 */
export async function bundleEnclave({ entry = ENTRY, project = PROJECT } = {}) {
  const { outputFiles, metafile } = await build({ ...OPTIONS, absWorkingDir: resolve(project), entryPoints: [entry] });
  const [output] = Object.values(metafile.outputs);
  const inputs = Object.keys(output.inputs).filter((path) => output.inputs[path].bytesInOutput > 0);
  await assertReadsNothingBesideItself(project, inputs);
  const packages = await packagesOf(project, inputs);
  const { text } = outputFiles[0];
  return {
    text,
    licenses: await licensesOf(project, packages),
    modules: inputs.filter((path) => !path.includes("node_modules/")).sort(),
    packages: packages.map(({ label }) => label),
    builtins: builtinsOf(output.imports),
    bytesByPackage: bytesByPackage(output.inputs),
  };
}

async function assertReadsNothingBesideItself(project, inputs) {
  for (const path of inputs.filter((input) => !READS_BESIDE_ITSELF.includes(input))) {
    const source = await readFile(join(project, path), "utf8");
    if (/\b__(dir|file)name\b/.test(source))
      throw new Error(`${path} looks for files beside itself: the image has none`);
  }
}

function builtinsOf(imports) {
  const names = imports.map(({ path, external }) => {
    if (!external || process.getBuiltinModule(path) === undefined) throw new Error(`the bundle needs ${path}`);
    return path.startsWith("node:") ? path : `node:${path}`;
  });
  return [...new Set(names)].sort();
}

/** The folder, manifest and label of each package that the files at `inputs` belong to, sorted by label. */
async function packagesOf(project, inputs) {
  const folders = new Set(inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
  const packages = [...folders].map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(project, folder, "package.json"), "utf8"));
    return { folder, label: `${name}@${version}`, license };
  });
  return (await Promise.all(packages)).sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** One text: each licence that the packages bring, below the packages that it is for. */
async function licensesOf(project, packages) {
  const byText = new Map();
  for (const { folder, label, license } of packages) {
    const names = (await readdir(join(project, folder))).filter((name) => /^(licen[cs]e|notice)/i.test(name)).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(project, folder, name), "utf8")));
    const text = texts.map((part) => part.replaceAll("\r\n", "\n").trim()).join("\n\n") || `SPDX: ${license}`;
    byText.set(text, [...(byText.get(text) ?? []), label]);
  }
  return [...byText].map(([text, labels]) => `${labels.join("\n")}\n\n${text}\n`).join(`\n${"-".repeat(120)}\n\n`);
}

function bytesByPackage(inputs) {
  const sums = new Map();
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? "nitro-decrypt";
    if (bytesInOutput > 0) sums.set(name, (sums.get(name) ?? 0) + bytesInOutput);
  }
  return Object.fromEntries([...sums].sort(([, a], [, b]) => b - a));
}

/**
 * The files of /app: contents by path, in the order of their names.
 * @param options.configuration the bytes of enclave.json; left out where undefined.
 * @param options.added further files: contents by path.
 * @param options.entry, options.project see `bundleEnclave`.
 */
export async function appFiles({ configuration, added = {}, project = PROJECT, ...bundle } = {}) {
  const { text, licenses } = await bundleEnclave({ project, ...bundle });
  const files = {
    ...added,
    "LICENSES.txt": Buffer.from(licenses),
    "cedar_wasm_bg.wasm": await readFile(join(project, WASM)),
    "enclave.json": configuration,
    "enclave.mjs": Buffer.from(text),
    [ADDON]: await readAddon(project),
  };
  return new Map(
    Object.entries(files)
      .filter(([, content]) => content !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** vsock's binary, of this project or of the package that a project uses; undefined where it has not been built. */
async function readAddon(project) {
  const own = await readFile(join(project, "vsock", ADDON)).catch(absent);
  return own ?? (await readFile(join(project, "node_modules/nitro-decrypt/vsock", ADDON)).catch(absent));
}

function absent(error) {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

/** The folders above `path`, outermost first: `a/b/c` has `a` and `a/b`. */
export function foldersAbove(path) {
  const above = dirname(path);
  return above === "." || above === "/" ? [] : [...foldersAbove(above), above];
}
