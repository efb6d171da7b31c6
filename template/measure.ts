/**
 * `npm run measure`: the measurements of this project with its enclave.json and settings.json, as the simulated platform
 * makes them. For real hardware, pin what `nitro-cli build-enclave` prints; PCR16 is the same in both.
 */
import { readFile } from "node:fs/promises";
import { pcr16OfConfiguration } from "nitro-decrypt";
import { bootPcrs } from "nitro-decrypt/simulator";
import { packImage, readImageFiles } from "./image.js";

const [configuration, settings] = await Promise.all([readFile("enclave.json"), readFile("settings.json")]);
const image = await packImage(await readImageFiles({ configuration, settings }));
const pcrs = new Map(await bootPcrs(image, { instanceId: "i-00000000000000000" })); // which shows in PCR4 alone
pcrs.set(16, await pcr16OfConfiguration(configuration));
for (const index of [0, 1, 2, 16]) {
  process.stdout.write(`PCR${index} ${Buffer.from(pcrs.get(index) ?? []).toString("hex")}\n`);
}
