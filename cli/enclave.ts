/** `nitro-decrypt enclave`: the service inside the enclave. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { EnclaveFunction } from "../enclave/index.js";
import { createEnclave } from "../enclave/index.js";
import type { NsmDevice } from "../enclave/machine/nsm-device.js";
import { NSM_DEVICE, openNsmDevice } from "../enclave/machine/nsm-device.js";
import type { ConnectedNsm } from "../simulator/nsm/client.js";
import { connectSimulatedNsm } from "../simulator/nsm/client.js";
import type { Command, Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import { parseOptions, required } from "./options.js";
import { createLogger, runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";

const usage = `Runs the service inside the enclave: measures its configuration into PCR16, and serves.

Usage: nitro-decrypt enclave --config FILE --nsm ADDRESS --listen ADDRESS [--tls ADDRESS] --tunnel ADDRESS --services ADDRESS

An ADDRESS is vsock://CID:PORT or unix:/path. An enclave image does not run this command but enclave/main.ts, which also
seeds the kernel's randomness, sets the clock and gives up root.

  --config FILE       the configuration, JSON; its exact bytes are measured
  --nsm ADDRESS       /dev/nsm, or a simulated NSM ("nitro-decrypt nsm")
  --listen ADDRESS    where to serve the parent: attestation, sealed requests, and what the configuration opens to it
  --tls ADDRESS       where to serve attested TLS, if the configuration has channels.tls
  --tunnel ADDRESS    the parent's byte tunnel to AWS KMS
  --region-tunnel REGION=ADDRESS
                      its tunnel to AWS KMS in another Region, for each that the configuration has in replicaRegions
  --services ADDRESS  the parent's services: credentials and the gateway
${SERVICE_USAGE}`;

const OPTIONS = {
  ...SERVICE_OPTIONS,
  config: { type: "string" },
  nsm: { type: "string" },
  listen: { type: "string" },
  tls: { type: "string" },
  tunnel: { type: "string" },
  "region-tunnel": { type: "string", multiple: true },
  services: { type: "string" },
} as const;

/** The command, serving functions of an application as well. */
export const enclaveWith = (functions: readonly EnclaveFunction[]): Command =>
  defineCommand({
    name: "enclave",
    summary: "the service inside the enclave",
    usage,
    execute: (argv, io) => execute(argv, io, functions),
  });

export const enclave = enclaveWith([]);

async function execute(argv: readonly string[], io: Io, functions: readonly EnclaveFunction[]): Promise<number> {
  const options = parseOptions(argv, OPTIONS);
  const file = required(options.config, "config");
  const nsmAddress = required(options.nsm, "nsm");
  const addresses = {
    listen: required(options.listen, "listen"),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    tunnel: required(options.tunnel, "tunnel"),
    regionTunnels: Object.fromEntries((options["region-tunnel"] ?? []).map(parseRegionTunnel)),
    services: required(options.services, "services"),
  };
  const log = createLogger(io, "enclave", options["log-level"]);
  const configuration = await readConfiguration(resolve(io.cwd, file));
  const nsm = openNsm(nsmAddress);
  try {
    const service = await createEnclave({ configuration, nsm, addresses, functions, log });
    const { address, configurationPcr } = service;
    const text = `enclave at ${address}, PCR16 ${configurationPcr}\n`;
    const event = { service: "enclave", address, configurationPcr };
    return await runUntilInterrupted(io, service, { event, text }, options.json);
  } finally {
    await nsm.close();
  }
}

function parseRegionTunnel(text: string, index: number, all: readonly string[]): readonly [string, string] {
  const [region, address] = /^([a-z0-9-]+)=(.+)$/.exec(text)?.slice(1) ?? [];
  if (region === undefined || address === undefined) {
    throw new CommandFailure(2, "--region-tunnel has the form REGION=ADDRESS");
  }
  if (all.slice(0, index).some((earlier) => earlier.startsWith(`${region}=`))) {
    throw new CommandFailure(2, `--region-tunnel is given twice for ${region}`);
  }
  return [region, address];
}

const openNsm = (address: string): ConnectedNsm | NsmDevice =>
  address === NSM_DEVICE ? openNsmDevice() : connectSimulatedNsm(address);

async function readConfiguration(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CommandFailure(1, `the configuration ${path} cannot be read`, { cause });
  }
}
