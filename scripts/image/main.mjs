/**
 * `npm run bundle:enclave` and `npm run rootfs:enclave`: the image's application, dist/image/app, and its root file system,
 * dist/image/rootfs, without any container tool. Dockerfile.enclave runs the second. Says how large each part is.
 *
 *   --config FILE   the configuration that goes in as /app/enclave.json; the image has none unless given
 *   --project DIR   the folder of another project, whose program and node_modules are bundled
 *   --entry FILE    a built module of the project that is bundled in the place of the enclave's program
 *   --add FILE      a further file for /app, under its own name; may be given again
 *   --node FILE     the Node that goes in, with the libraries that it has on this machine; the running one unless given
 *   --output DIR    in the place of the project's dist/image
 *   --json          sizes, paths and modes as JSON
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { appFiles, ENTRY, PROJECT } from "./bundle.mjs";
import { describeSizes, listRootfs, planRootfs, readConfiguration, sizesOf, writeRootfs } from "./rootfs.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    config: { type: "string" },
    project: { type: "string", default: PROJECT },
    entry: { type: "string", default: ENTRY },
    add: { type: "string", multiple: true, default: [] },
    node: { type: "string" },
    output: { type: "string" },
    json: { type: "boolean" },
  },
});
const configuration = values.config && (await readConfiguration(values.config));
const { project, entry, output = join(project, "dist/image") } = values;
const added = Object.fromEntries(
  await Promise.all(values.add.map(async (path) => [basename(path), await readFile(path)])),
);
const app = await appFiles({ configuration, added, project, entry });
if (![...app.keys()].some((path) => path.endsWith(".node"))) {
  process.stderr.write("vsock's native addon is not built, and not in the image: npm run build:native\n");
}
await writeApp(app, join(output, "app"));
if (positionals[0] === "rootfs") {
  const entries = await planRootfs({ app, node: values.node });
  await writeRootfs(entries, join(output, "rootfs"), Number(process.env.SOURCE_DATE_EPOCH ?? 0));
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
