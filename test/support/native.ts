/** Whether the native addon of vsock/ has been built: what a test says of an address then depends on the machine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./project.js";

export const addonBuilt = existsSync(join(projectRoot, `vsock/prebuilds/linux-${process.arch}.node`));
