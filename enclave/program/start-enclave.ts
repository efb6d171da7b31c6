/** Starts the service of an enclave image on its machine: the part of the program that knows no process. */
import { readFile } from "node:fs/promises";
import { ServiceError } from "../../shared/errors.js";
import type { Clock } from "../clock.js";
import { parseConfiguration } from "../configuration.js";
import type { Enclave, EnclaveAddresses } from "../enclave.js";
import { createEnclave } from "../enclave.js";
import type { Logger } from "../log.js";
import type { BootedMachine } from "../machine/machine.js";
import type { EnclaveFunction } from "../operations/functions.js";

export interface StartOptions {
  /** Where the configuration lies. */
  readonly configurationFile: string;
  /** `tls` is used where the configuration has a TLS channel, and else not. */
  readonly addresses: Required<EnclaveAddresses>;
  readonly functions: readonly EnclaveFunction[] | (() => Promise<readonly EnclaveFunction[]>);
  readonly machine: BootedMachine;
  readonly log: Logger;
  readonly clock: Clock;
}

/** @throws ServiceError ERR_CONFIGURATION also when there is no configuration, and whatever `createEnclave` throws. */
export async function startEnclave(options: StartOptions): Promise<Enclave> {
  const { machine, log, clock, functions } = options;
  const configuration = await readConfiguration(options.configurationFile);
  const { tls, ...addresses } = options.addresses;
  const hasTls = parseConfiguration(configuration).channels.tls !== undefined;
  return createEnclave({
    configuration,
    nsm: machine.nsm,
    machine,
    addresses: hasTls ? { ...addresses, tls } : addresses,
    functions: typeof functions === "function" ? await functions() : functions,
    log,
    clock,
  });
}

async function readConfiguration(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ServiceError("ERR_CONFIGURATION", `expected the enclave's configuration at ${path}`, { cause });
  }
}
