/** Starts the service of an enclave image on its machine: the part of the program that knows no process. */
import { readFile } from "node:fs/promises";
import { formatAddress, PARENT_CID, PORTS } from "../../shared/address.js";
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
  /**
   * `tls` is used where the configuration has a TLS channel, and else not. Tunnels to further Regions are at the parent's ports
   * from 8010 on unless given, in the order of the configuration.
   */
  readonly addresses: EnclaveAddresses & { readonly tls: string };
  readonly functions: readonly EnclaveFunction[] | (() => Promise<readonly EnclaveFunction[]>);
  readonly machine: BootedMachine;
  readonly log: Logger;
  readonly clock: Clock;
}

/** @throws ServiceError ERR_CONFIGURATION also when there is no configuration, and whatever `createEnclave` throws. */
export async function startEnclave(options: StartOptions): Promise<Enclave> {
  const { machine, log, clock, functions } = options;
  const configuration = await readConfiguration(options.configurationFile);
  const { tls, ...given } = options.addresses;
  const { channels, regions } = parseConfiguration(configuration);
  const hasTls = channels.tls !== undefined;
  const addresses = { ...given, regionTunnels: given.regionTunnels ?? regionTunnelsOf(regions) };
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

/** Where a Nitro enclave finds the parent's tunnels to all Regions but the first. */
export const regionTunnelsOf = ([, ...others]: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    others.map((region, index) => {
      const port = PORTS.regionTunnel + index;
      return [region, formatAddress({ kind: "vsock", cid: PARENT_CID, port })];
    }),
  );

async function readConfiguration(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ServiceError("ERR_CONFIGURATION", `expected the enclave's configuration at ${path}`, { cause });
  }
}
