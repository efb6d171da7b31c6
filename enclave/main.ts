/** The entry of the enclave image, without functions of an application. */
import { parseArgs } from "node:util";
import { runEnclave } from "./program/run-enclave.js";

const { values } = parseArgs({
  options: {
    config: { type: "string" },
    listen: { type: "string" },
    tls: { type: "string" },
    tunnel: { type: "string" },
    services: { type: "string" },
  },
});
const { config, ...addresses } = values;
await runEnclave({ configurationFile: config, addresses });
