/** The whole stack in one process, on the simulated platform: an enclave with this project's image, its parent, KMS. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KMSClient } from "@aws-sdk/client-kms";
import type { ConnectOptions, Enclave, TrustAnchor } from "nitro-decrypt";
import { connectEnclave, pcr16OfConfiguration } from "nitro-decrypt";
import { createParent } from "nitro-decrypt/parent";
import type { BootedEnclave, Simulation } from "nitro-decrypt/simulator";
import { createTokenIssuer, startSimulation } from "nitro-decrypt/simulator";
import { buildConfiguration } from "../configuration.js";
import type { ImageFiles } from "../image.js";
import { packImage, readImageFiles } from "../image.js";
import { startEnclave } from "../main.js";
import type { Conditions, Pins } from "./operator.js";
import { Operator } from "./operator.js";

/** A running enclave behind its parent. */
export interface Endpoint {
  /** Of the parent. */
  readonly url: string;
  readonly pcrs: Pins;
}

export interface LocalStack extends Endpoint {
  readonly trustAnchor: TrustAnchor;
  readonly operator: Operator;
  /** What the image was made of. */
  readonly files: ImageFiles;
  /** A token for somebody of this tenant. */
  tokenFor(tenant: string): Promise<string>;
  /** Connects over a sealed channel to an enclave with exactly these measurements; the first one unless given. */
  connect(tenant: string, endpoint?: Endpoint): Promise<Enclave>;
  /** Starts one more enclave, from these files. KMS has not been told of it. */
  startAnother(files: ImageFiles): Promise<Endpoint>;
  /** Has KMS decrypt for enclaves with these measurements, and for no others. */
  release(pins: Pins, conditions?: Conditions): Promise<void>;
  close(): Promise<void>;
}

/** Starts it all. KMS decrypts for this enclave alone. */
export async function startLocalStack(): Promise<LocalStack> {
  const simulation = await startSimulation();
  const closers = [simulation.close];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    return { ...(await start(simulation, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Closers = (() => Promise<void>)[];

async function start(simulation: Simulation, closers: Closers): Promise<Omit<LocalStack, "close">> {
  const { trustAnchor, kms, accountId, roleArn } = simulation;
  const operator = await Operator.create(operatorClient(simulation), accountId);
  const issuer = await createTokenIssuer();
  const { keyArn } = operator;
  const roots = [kms.caCertificate];
  const configuration = await buildConfiguration({ keyArn, issuers: [issuer.configuration], roots });
  const settings = await operator.makeSettings();
  const files = await readImageFiles({ configuration, settings });

  const startAnother = async (changed: ImageFiles): Promise<Endpoint> => {
    const booted = await simulation.bootEnclave(await packImage(changed));
    const pcr16 = Buffer.from(await pcr16OfConfiguration(fileOf(changed, "enclave.json"))).toString("hex");
    const pcrs = { 0: pcrOf(booted, 0), 1: pcrOf(booted, 1), 2: pcrOf(booted, 2), 16: pcr16 };
    return { url: await serve(simulation, { booted, files: changed }, closers), pcrs };
  };
  const endpoint = await startAnother(files);
  const release: LocalStack["release"] = (pins, conditions) => operator.release({ roleArn, pins, conditions });
  await release(endpoint.pcrs);

  const tokenFor = (tenant: string) =>
    issuer.issue({ subject: `somebody-of-${tenant}`, claims: { tenant }, lifetimeSeconds: 3600 });
  const connect: LocalStack["connect"] = async (tenant, { url, pcrs } = endpoint) =>
    connectEnclave(url, { trustAnchor, policy: policyOf(pcrs), token: await tokenFor(tenant) });
  return { ...endpoint, trustAnchor, operator, files, tokenFor, connect, startAnother, release };
}

/** What a client demands: this image, this configuration, now, and not in debug mode. */
const policyOf = (pcrs: Pins): ConnectOptions["policy"] => ({
  pcrs: [pcrs],
  configuration: "pinned",
  freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
  debug: "reject",
});

const operatorClient = ({ region, kms, operator }: Simulation): KMSClient =>
  new KMSClient({
    region,
    endpoint: kms.endpoint,
    credentials: operator,
    requestHandler: { httpsAgent: { ca: kms.caCertificate } },
  });

interface Boot {
  readonly booted: BootedEnclave;
  readonly files: ImageFiles;
}

/** Starts parent and enclave, joined by Unix sockets where real ones have vsock; returns the parent's URL. */
async function serve(simulation: Simulation, { booted, files }: Boot, closers: Closers): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "my-enclave-"));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  for (const name of ["enclave.json", "settings.json"]) await writeFile(join(folder, name), fileOf(files, name));
  const address = (name: string) => `unix:${join(folder, name)}`;
  const addresses = { listen: address("enclave"), tunnel: address("tunnel"), services: address("services") };
  const kms = { host: "127.0.0.1", port: simulation.kms.port };
  const parent = await createParent({
    enclaves: [{ name: "enclave", address: addresses.listen }],
    listen: { host: "127.0.0.1", port: 0 },
    services: addresses.services,
    tunnel: { listen: addresses.tunnel, target: kms, allow: [kms], maxConnections: 16 },
    credentials: simulation.roleCredentials,
  });
  closers.push(() => parent.close());
  const enclave = await startEnclave({ nsm: booted.nsm, folder, addresses });
  closers.push(() => enclave.close());
  return parent.url;
}

function pcrOf({ pcrs }: BootedEnclave, index: number): string {
  const value = pcrs[index];
  if (value === undefined) throw new Error(`the platform has no PCR${index}`);
  return value;
}

function fileOf(files: ImageFiles, path: string): Uint8Array {
  const content = files.get(path);
  if (content === undefined) throw new Error(`the image has no ${path}`);
  return content;
}
