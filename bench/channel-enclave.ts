/** The enclave of the channels' benchmark, as a process: the `enclave` command with a function that only sends back its input. */
import { z } from "zod";
import { enclaveWith } from "../cli/enclave.js";
import { processIo } from "../cli/process-io.js";
import { defineFunction } from "../enclave/index.js";

const text = z.strictObject({ data: z.string() });
const echo = defineFunction({ name: "echo", input: text, output: text, plaintext: "none", run: ({ input }) => input });

const [, ...options] = process.argv.slice(2); // the command's name comes first
process.exitCode = await enclaveWith([echo]).run(options, processIo());
