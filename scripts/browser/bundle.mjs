/**
 * The client as one file for browsers: dist/client bundled with what it imports, minified, without anything of Node. Used
 * by scripts/bundle-client.mjs, by the check in a real browser, and by a test.
 */
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const ENTRY = fileURLToPath(new URL("../../dist/client/index.js", import.meta.url));
/** @hpke/common asks Node before 19 for WebCrypto in this way; where `globalThis.crypto` exists it never does. */
const NO_CRYPTO = fileURLToPath(new URL("./no-webcrypto.mjs", import.meta.url));

const OPTIONS = {
  entryPoints: [ENTRY],
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  write: false,
  alias: { crypto: NO_CRYPTO },
  logLevel: "error",
};

/** What Node has and pages have not. */
const NODE_GLOBALS = [
  ...["Buffer", "process", "global", "setImmediate", "clearImmediate"],
  ...["require", "module", "exports", "__dirname", "__filename"],
];
/**
 * Where one is named all the same, in code that pages never reach or that looks first: cbor-x/decode joins byte strings of
 * indefinite length by Buffer, which shared/cbor.ts refuses before it decodes; cbor-x/encode looks for globalThis.Buffer.
 */
const KNOWN = ["node_modules/cbor-x/decode.js: Buffer", "node_modules/cbor-x/encode.js: Buffer"];

/**
 * @returns the bundle's text, its sizes in bytes, how much of it is whose, and esbuild's report.
 * @throws when it would need a module or a global of Node at run time.
 */
export async function bundleClient() {
  const { outputFiles, metafile } = await build({ ...OPTIONS, minify: true, metafile: true });
  const [output] = Object.values(metafile.outputs);
  const needed = output.imports.map(({ path }) => path);
  if (needed.length > 0) throw new Error(`expected a bundle that needs no other module, it needs ${needed.join(", ")}`);
  const unexpected = (await nodeGlobals()).filter((found) => !KNOWN.includes(found));
  if (unexpected.length > 0) throw new Error(`expected nothing of Node in the bundle, found ${unexpected.join(", ")}`);
  const { contents, text } = outputFiles[0];
  return {
    text,
    bytes: contents.length,
    gzip: gzipSync(contents, { level: 9 }).length,
    brotli: brotliCompressSync(contents).length,
    byPackage: bytesByPackage(output.inputs),
    metafile,
  };
}

/** `FILE: NAME` of each global of Node that the bundle names, by having esbuild mark every one that no declaration binds. */
async function nodeGlobals() {
  const define = Object.fromEntries(
    NODE_GLOBALS.flatMap((name) => [name, `globalThis.${name}`].map((expression) => [expression, `__node_${name}`])),
  );
  // Only the syntax is minified, so that what is dropped is the same and the comments that name each file stay.
  const { outputFiles } = await build({ ...OPTIONS, minifySyntax: true, define });
  const found = new Set();
  let file = "";
  for (const line of outputFiles[0].text.split("\n")) {
    file = /^ *\/\/ ((?:\S+\/)?(?:dist|node_modules|scripts)\/\S+)$/.exec(line)?.[1] ?? file;
    for (const [, name] of line.matchAll(/\b__node_(\w+)/g)) found.add(`${file}: ${name}`);
  }
  return [...found];
}

function bytesByPackage(inputs) {
  const sums = new Map();
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? "nitro-decrypt";
    sums.set(name, (sums.get(name) ?? 0) + bytesInOutput);
  }
  return Object.fromEntries([...sums].sort(([, a], [, b]) => b - a));
}
