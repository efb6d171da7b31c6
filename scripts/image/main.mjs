/**
 * `npm run bundle:enclave` and `npm run rootfs:enclave`: the image's application, dist/image/app, and its root file system,
 * dist/image/rootfs, without any container tool. Dockerfile.enclave runs the second. Says how large each part is.
 *
 *   --config FILE   the configuration that goes in as /app/enclave.json; the image has none unless given
 *   --entry FILE    a built module that is bundled in the place of the enclave's program
 *   --node FILE     the Node that goes in, with the libraries that it has on this machine; the running one unless given
 *   --output DIR    in the place of dist/image
 *   --json          sizes, paths and modes as JSON
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { appFiles, PROJECT } from "./bundle.mjs";
import { describeSizes, listRootfs, planRootfs, readConfiguration, sizesOf, writeRootfs } from "./rootfs.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    config: { type: "string" },
    entry: { type: "string" },
    node: { type: "string" },
    output: { type: "string", default: join(PROJECT, "dist/image") },
    json: { type: "boolean" },
  },
});
const configuration = values.config && (await readConfiguration(values.config));
const app = await appFiles({ configuration, entry: values.entry && resolve(values.entry) });
if (![...app.keys()].some((path) => path.endsWith(".node"))) {
  process.stderr.write("vsock's native addon is not built, and not in the image: npm run build:native\n");
}
await writeApp(app, join(values.output, "app"));
if (positionals[0] === "rootfs") {
  const entries = await planRootfs({ app, node: values.node });
  await writeRootfs(entries, join(values.output, "rootfs"), Number(process.env.SOURCE_DATE_EPOCH ?? 0));
  const sizes = await sizesOf(entries);
  console.log(values.json ? JSON.stringify({ ...sizes, files: listRootfs(entries) }) : describeSizes(sizes));
} else {
  const sizes = Object.fromEntries([...app].map(([path, { length }]) => [`/app/${path}`, length]));
  if (values.json) console.log(JSON.stringify(sizes));
  else
    for (const [path, bytes] of Object.entries(sizes))
      console.log(`${path.padEnd(34)}${(bytes / 1024).toFixed(1).padStart(10)} KiB`);
}

async function writeApp(files, folder) {
  await rm(folder, { recursive: true, force: true });
  for (const [path, content] of files) {
    const at = join(folder, path);
    await mkdir(dirname(at), { recursive: true });
    await writeFile(at, content, { mode: 0o644 });
  }
}
