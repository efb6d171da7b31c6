/** `npm run bundle`: writes the client for browsers to dist/browser/nitro-decrypt.js, esbuild's report beside it, and says how large it is; `-- --json` for machines. */
import { mkdir, writeFile } from "node:fs/promises";
import { bundleClient } from "./browser/bundle.mjs";

const folder = new URL("../dist/browser/", import.meta.url);
const { text, byPackage, metafile, ...sizes } = await bundleClient();
await mkdir(folder, { recursive: true });
await writeFile(new URL("nitro-decrypt.js", folder), text);
await writeFile(new URL("meta.json", folder), JSON.stringify(metafile));
if (process.argv.includes("--json")) console.log(JSON.stringify({ ...sizes, byPackage }));
else {
  const line = (name, bytes) => console.log(`${name.padEnd(16)}${(bytes / 1024).toFixed(1).padStart(7)} KiB`);
  for (const [name, bytes] of Object.entries(byPackage)) line(name, bytes);
  line("minified", sizes.bytes);
  line("gzip", sizes.gzip);
  line("brotli", sizes.brotli);
}
