/** The root file system of the enclave image, as the image's own scripts lay it: what runs in the guest is what is deployed. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ENCLAVE_ARGUMENTS } from "../addresses.js";
import type { EnclaveRoot } from "./root.js";

/** As scripts/image has it, as far as it is used here. */
interface ImageScripts {
  appFiles(options: { readonly entry: string }): Promise<ReadonlyMap<string, Uint8Array>>;
  planRootfs(options: { readonly app: ReadonlyMap<string, Uint8Array> }): Promise<ReadonlyMap<string, unknown>>;
  writeRootfs(entries: ReadonlyMap<string, unknown>, target: string): Promise<void>;
  readonly ENTRYPOINT: readonly [node: string, ...rest: string[]];
}

/** The entry of an image without an application of its own. */
const ENTRY = "dist/enclave/main.js";

/** Bundles the enclave's program and lays its root file system in `folder`. It has no configuration: the guest makes one. */
export async function imageEnclave(folder: string, project: string): Promise<EnclaveRoot> {
  const load = (name: string): Promise<unknown> => import(pathToFileURL(join(project, "scripts/image", name)).href);
  const scripts = {
    ...((await load("bundle.mjs")) as object),
    ...((await load("rootfs.mjs")) as object),
  } as ImageScripts;
  const app = await scripts.appFiles({ entry: ENTRY });
  await scripts.writeRootfs(await scripts.planRootfs({ app }), folder);
  const [node] = scripts.ENTRYPOINT;
  return { folder, node, command: [...scripts.ENTRYPOINT, ...ENCLAVE_ARGUMENTS], environment: {} };
}
