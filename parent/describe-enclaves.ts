/**
 * Finds the enclaves of this instance by asking `nitro-cli describe-enclaves`, AWS's command, whose answer is a JSON list
 * with an EnclaveCID and a State for each. Those that run are taken, at the usual ports. Its output is bounded, and so is
 * the time that it may take.
 */
import { execFile } from "node:child_process";
import { z } from "zod";
import { ServiceError } from "../shared/errors.js";
import { parseJson } from "../shared/wire.js";
import type { EnclaveTarget } from "./enclaves.js";
import { enclaveOfCid } from "./enclaves.js";

export interface DescribeOptions {
  /** The command; found through PATH unless it is a path. */
  readonly command?: string;
  readonly deadlineMs?: number;
}

const MAX_OUTPUT_BYTES = 256 * 1024;

/** nitro-cli 1.5 has more fields, and a later one may have others. */
const described = z.array(z.object({ EnclaveCID: z.number(), State: z.string() })).max(64);

/**
 * The enclaves that run. An enclave that starts or ends is not among them.
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE: the command is not there, fails, takes too long or answers something else.
 */
export async function describeEnclaves(options: DescribeOptions = {}): Promise<readonly EnclaveTarget[]> {
  const { command = "nitro-cli", deadlineMs = 10_000 } = options;
  const output = await run(command, deadlineMs);
  const enclaves = parseJson(described, output, "ERR_ENCLAVE_UNAVAILABLE");
  return enclaves.filter(({ State }) => State === "RUNNING").map(({ EnclaveCID }) => enclaveOfCid(EnclaveCID));
}

function run(command: string, timeout: number): Promise<string> {
  const limits = { timeout, killSignal: "SIGKILL", maxBuffer: MAX_OUTPUT_BYTES, encoding: "utf8" } as const;
  return new Promise((resolve, reject) => {
    execFile(command, ["describe-enclaves"], limits, (cause, stdout) => {
      if (cause === null) return resolve(stdout);
      const missing = "code" in cause && cause.code === "ENOENT" ? ": is it installed, and in PATH?" : "";
      const message = `expected the list of enclaves of ${command} describe-enclaves${missing}`;
      reject(new ServiceError("ERR_ENCLAVE_UNAVAILABLE", message, { cause }));
    });
  });
}
