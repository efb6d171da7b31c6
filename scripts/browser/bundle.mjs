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

/** @returns the bundle's text, its sizes in bytes, and how much of it is whose. @throws when it would need a module at run time. */
export async function bundleClient() {
  const { outputFiles, metafile } = await build({
    entryPoints: [ENTRY],
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    write: false,
    metafile: true,
    alias: { crypto: NO_CRYPTO },
    logLevel: "error",
  });
  const [output] = Object.values(metafile.outputs);
  const needed = output.imports.map(({ path }) => path);
  if (needed.length > 0) throw new Error(`expected a bundle that needs no other module, it needs ${needed.join(", ")}`);
  const { contents, text } = outputFiles[0];
  return {
    text,
    bytes: contents.length,
    gzip: gzipSync(contents, { level: 9 }).length,
    brotli: brotliCompressSync(contents).length,
    byPackage: bytesByPackage(output.inputs),
  };
}

function bytesByPackage(inputs) {
  const sums = new Map();
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? "nitro-decrypt";
    sums.set(name, (sums.get(name) ?? 0) + bytesInOutput);
  }
  return Object.fromEntries([...sums].sort(([, a], [, b]) => b - a));
}
