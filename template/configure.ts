/** `node dist/configure.js KEY_ARN ISSUERS_FILE`: writes enclave.json, and prints the PCR16 that clients and KMS pin. */
import { readFile, writeFile } from "node:fs/promises";
import { pcr16OfConfiguration } from "nitro-decrypt";
import { buildConfiguration } from "./configuration.js";

const [keyArn, issuersFile] = process.argv.slice(2);
if (keyArn === undefined || issuersFile === undefined) {
  process.stderr.write("usage: node dist/configure.js KEY_ARN ISSUERS_FILE\n");
  process.exit(2);
}
const configuration = await buildConfiguration({ keyArn, issuers: JSON.parse(await readFile(issuersFile, "utf8")) });
await writeFile("enclave.json", configuration);
const pcr16 = Buffer.from(await pcr16OfConfiguration(configuration)).toString("hex");
process.stdout.write(`enclave.json\nPCR16 ${pcr16}\n`);
