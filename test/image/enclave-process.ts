/**
 * The enclave's program with the simulated NSM in the place of /dev/nsm, bundled by the tests as the image's program is. Its
 * argument is JSON: the NSM's address, and `addresses` as `createEnclave` takes them. Says a line when it serves.
 */
import { readFileSync } from "node:fs";
import type { EnclaveAddresses } from "../../enclave/index.js";
import { createEnclave } from "../../enclave/index.js";
import { connectSimulatedNsm } from "../../simulator/nsm/client.js";

const given = JSON.parse(process.argv[2] ?? "") as { nsm: string; addresses: EnclaveAddresses };
const { nsm, addresses } = given;
const configuration = readFileSync(new URL("enclave.json", import.meta.url));
await createEnclave({ configuration, nsm: connectSimulatedNsm(nsm), addresses });
process.stdout.write("serves\n");
