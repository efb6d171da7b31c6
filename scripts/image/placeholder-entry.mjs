/** Stands for the enclave's program until it is there: loads what it will load, and says so. */
import { createEnclave } from "../../dist/enclave/index.js";

process.stdout.write(`${typeof createEnclave}\n`);
