/** An enclave that serves nothing: it tells what an enclave's program finds around it. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EnclaveRoot } from "./root.js";
import { layNode } from "./root.js";

const PROGRAM = `
const { readdirSync, existsSync } = require("node:fs");
const { networkInterfaces } = require("node:os");
const found = { devices: readdirSync("/dev"), interfaces: Object.keys(networkInterfaces()), tmp: existsSync("/tmp"), pid: process.pid };
console.log(JSON.stringify({ ...found, environment: process.env }));
`;

/** Its root file system in `folder`, which is made. */
export async function placeholderEnclave(folder: string): Promise<EnclaveRoot> {
  await layNode(folder);
  await mkdir(join(folder, "app"));
  await writeFile(join(folder, "app/main.cjs"), PROGRAM);
  return { folder, command: ["/usr/bin/node", "/app/main.cjs"], environment: { LANG: "C" } };
}
