/**
 * The program of an enclave image, from the first process to a service that serves. It stands on what AWS's init leaves: no
 * network (`lo` is down), no writable folder, the console as standard output, and root, which it gives up.
 *
 * In this order: the device, randomness, the configuration and what the application prepares, the measurement, the machine's
 * clock, root given up, and then the servers. An exit ends the enclave, so there are three: it was told to (status 0), the
 * start failed (1), and an error that nothing caught (1), after which the process would be in no known state. The parent is
 * told how the start went.
 */
import type { Writable } from "node:stream";
import { ANY_CID, formatAddress, PARENT_CID, PORTS } from "../../shared/address.js";
import type { EnclaveState } from "../../shared/enclave-state.js";
import { toServiceError } from "../../shared/errors.js";
import { systemClock } from "../clock.js";
import type { Enclave, EnclaveAddresses } from "../enclave.js";
import { ServicesClient } from "../kms/services.js";
import type { Logger } from "../log.js";
import { bootMachine } from "../machine/machine.js";
import type { NsmDevice } from "../machine/nsm-device.js";
import { openNsmDevice } from "../machine/nsm-device.js";
import { consoleLog, openConsole } from "./console-log.js";
import type { StartOptions } from "./start-enclave.js";
import { startEnclave } from "./start-enclave.js";
import { reportState } from "./state-report.js";

const vsock = (cid: number, port: number): string => formatAddress({ kind: "vsock", cid, port });

/** What holds in an AWS Nitro Enclave: the parent has CID 3. Tunnels to further Regions: `regionTunnelsOf`. */
export const ENCLAVE_ADDRESSES: Required<Omit<EnclaveAddresses, "regionTunnels">> = {
  listen: vsock(ANY_CID, PORTS.enclave),
  tls: vsock(ANY_CID, PORTS.enclaveTls),
  tunnel: vsock(PARENT_CID, PORTS.tunnel),
  services: vsock(PARENT_CID, PORTS.services),
};

export const CONFIGURATION_FILE = "/app/enclave.json";

export interface RunOptions {
  /** Where the configuration lies; /app/enclave.json unless given. */
  readonly configurationFile?: string | undefined;
  /** Other addresses than ENCLAVE_ADDRESSES. */
  readonly addresses?: Partial<EnclaveAddresses> | undefined;
  /** The application's own code: see `defineFunction`. As a function where something must be read first. */
  readonly functions?: StartOptions["functions"] | undefined;
}

type Exit = (code: 0 | 1) => void;

interface Program {
  readonly log: Logger;
  /** Told how the parent learns of a start that ends by an error which nothing caught. */
  readonly starting: (tellFailure: () => Promise<unknown>) => void;
  readonly started: (enclave: Enclave) => void;
}

/** A minute for a parent that starts later; a failed enclave does not wait so long. */
const ATTEMPTS = { serving: 60, failed: 10 } as const;

/** The descriptor of standard output. */
const STDOUT = 1;
/** How long the last lines may take. */
const CONSOLE_MS = 1_000;

/**
 * Runs the enclave of this image until its process is told to end. It takes the process over: its signals, its uncaught
 * errors, its user, and the machine's clock. The promise resolves when it serves, or has failed to.
 */
export async function runEnclave(options: RunOptions = {}): Promise<void> {
  const console = openConsole(STDOUT, process.stdout);
  const log = consoleLog(console, systemClock);
  const exit: Exit = (code) => exitAfter(console, code);
  let enclave: Enclave | undefined;
  let tellFailure = async (): Promise<unknown> => undefined;
  process.on("uncaughtException", (error: unknown) => {
    log.error({ errorName: error instanceof Error ? error.name : typeof error }, "nothing caught an error");
    void tellFailure().finally(() => exit(1));
  });
  endOnSignal(() => enclave?.close(), exit);
  const starting = (tell: () => Promise<unknown>): void => {
    tellFailure = tell;
  };
  const started = (one: Enclave): void => {
    enclave = one;
    tellFailure = async () => undefined;
  };
  const alive = setInterval(() => undefined, 2 ** 31 - 1); // timers of the enclave's clock keep no process alive
  try {
    // First: without a device this is no enclave, and there is no parent to tell anything.
    await serve(openNsmDevice(), { ...options, log, starting, started });
  } catch (error) {
    const { code, message, cause } = toServiceError(error);
    const because = cause instanceof Error ? { cause: cause.message } : {};
    log.error({ code, reason: message, ...because }, "the enclave does not start");
    exit(1);
  } finally {
    clearInterval(alive);
  }
}

/** Starts the service, and tells the parent how that went. @throws what `startEnclave` throws. */
async function serve(nsm: NsmDevice, options: RunOptions & Program): Promise<void> {
  const { configurationFile = CONFIGURATION_FILE, functions = [], log } = options;
  const addresses = { ...ENCLAVE_ADDRESSES, ...options.addresses };
  const services = new ServicesClient(addresses.services);
  const report = (state: EnclaveState, attempts: number = ATTEMPTS[state.state]): Promise<boolean> =>
    reportState(state, { services, clock: systemClock, attempts });
  options.starting(() => report({ state: "failed", code: "ERR_INTERNAL" }, 1));
  try {
    const machine = await bootMachine(nsm);
    const enclave = await startEnclave({ configurationFile, addresses, functions, machine, log, clock: systemClock });
    options.started(enclave);
    const { configurationPcr } = enclave;
    if (!(await report({ state: "serving", configurationPcr }))) {
      log.warn({ address: addresses.services }, "the parent did not take the report that the enclave serves");
    }
  } catch (error) {
    await report({ state: "failed", code: toServiceError(error).code });
    throw error;
  } finally {
    services.close();
  }
}

/** From the first on: a start may take as long as the parent lets it. */
function endOnSignal(close: () => Promise<void> | undefined, exit: Exit): void {
  const end = async (): Promise<void> => {
    await close();
    exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void end());
}

/** Ends the process once the console has what was written to it, and without it when it takes too long. */
function exitAfter(console: Writable, code: 0 | 1): void {
  const end = (): void => process.exit(code);
  setTimeout(end, CONSOLE_MS);
  console.write("", end);
}
