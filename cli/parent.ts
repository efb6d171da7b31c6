/** `nitro-decrypt parent`: the service on the parent instance. */
import { resolve } from "node:path";
import { KMSClient } from "@aws-sdk/client-kms";
import type { BranchKeyStore, TlsCertificateSource, TlsOptions, TunnelOptions } from "../parent/index.js";
import { createParent } from "../parent/index.js";
import { formatHostPort } from "../parent/listen.js";
import { ANY_CID, formatAddress, PORTS } from "../shared/address.js";
import { dynamoClient } from "./branch-keys/dynamo-client.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import type { OptionValues } from "./options.js";
import { parseHostPort, parseOptions, parseOrigin, required } from "./options.js";
import { ENCLAVES_OPTIONS, ENCLAVES_USAGE, isOnVsock, parseEnclaves } from "./parent-enclaves.js";
import { createLogger, runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";
import { readTlsCertificate } from "./tls-certificate.js";

const usage = `Runs the service on the parent instance: the HTTP API, the tunnel to AWS KMS, and the enclave's credentials.

Usage: nitro-decrypt parent --enclave ADDRESS --listen HOST:PORT --services ADDRESS --tunnel ADDRESS --kms-target HOST:PORT
       nitro-decrypt parent --discover --listen HOST:PORT --kms-target HOST:PORT

An ADDRESS is vsock://CID:PORT or unix:/path. On vsock the parent takes connections of its own enclaves' CIDs alone.
Credentials come from the AWS SDK's default provider chain; on EC2 that is the instance's role.

${ENCLAVES_USAGE}  --listen HOST:PORT      where clients find the HTTP API; port 0 takes a free one
  --services ADDRESS      where an enclave finds credentials and the gateway, and tells how its start went; with
                          --enclave-cid or --discover, vsock port 8001 unless given
  --tunnel ADDRESS        where an enclave finds the tunnel; likewise vsock port 8000
  --kms-target HOST:PORT  where the tunnel leads, kms.REGION.amazonaws.com:443 say
  --region-target [ADDRESS=]HOST:PORT
                          where the tunnel to a further Region leads, for an enclave whose configuration has replicaRegions;
                          may be given several times, in the order in which the configuration first names the Regions. An
                          enclave finds it at ADDRESS; on vsock at port 8010, the next at 8011 and so on, unless given
  --allow HOST:PORT       a target that is allowed; may be given several times. Without it, --kms-target and --region-target
                          alone are allowed
  --max-connections N     connections through each tunnel at a time (default 256)
  --request-deadline SECONDS
                          for an enclave to answer a request, 1 to 300 (default 30); as requestDeadlineSeconds of the
                          enclave's configuration, or more
  --allow-origin ORIGIN   pages of this origin may call the API from a browser; may be given several times
  --tls-listen HOST:PORT  where clients find an enclave's TLS, which is passed on as it comes
  --tls-certificate FILE  offer the enclave this certificate chain (PEM) when it asks for a renewal; with --tls-key.
  --tls-key FILE          its private key (PKCS #8 DER) as encrypted by AWS KMS, binary or base64. Both files are read
                          anew each time
  --seeds FOLDER          keep the sealing seeds of enclaves with a shared identity in this folder; in memory unless given
  --gateway REGION        also make KMS calls in this Region for an enclave whose configuration says "gateway"
  --branch-keys-table NAME
                          read the enclave's branch keys from this DynamoDB table; its Region is that of the AWS SDK's
                          configuration (AWS_REGION)
  --branch-keys-folder PATH
                          read them from this folder instead, which stands for the table of --branch-keys-table
${SERVICE_USAGE}`;

const OPTIONS = {
  ...SERVICE_OPTIONS,
  ...ENCLAVES_OPTIONS,
  listen: { type: "string" },
  services: { type: "string" },
  tunnel: { type: "string" },
  "kms-target": { type: "string" },
  "region-target": { type: "string", multiple: true },
  allow: { type: "string", multiple: true },
  "max-connections": { type: "string", default: "256" },
  gateway: { type: "string" },
  "branch-keys-table": { type: "string" },
  "branch-keys-folder": { type: "string" },
  "request-deadline": { type: "string", default: "30" },
  "allow-origin": { type: "string", multiple: true },
  "tls-listen": { type: "string" },
  "tls-certificate": { type: "string" },
  "tls-key": { type: "string" },
  seeds: { type: "string" },
} as const;

/** Clients' TLS connections at a time: as many as the HTTP API takes. */
const MAX_TLS_CONNECTIONS = 1_024;

export const parent = defineCommand({
  name: "parent",
  summary: "the service on the parent instance",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const { tunnel, regionTunnels } = tunnelsOf(options);
    const { gateway } = options;
    const service = await createParent({
      enclaves: parseEnclaves(options),
      listen: parseHostPort(required(options.listen, "listen"), "listen"),
      services: options.services ?? onVsock(options, "services"),
      tunnel,
      regionTunnels,
      allowOrigins: options["allow-origin"]?.map(parseOrigin),
      tls: tlsOf(options),
      tlsCertificate: await tlsCertificateOf(options, io),
      gateway: gateway === undefined ? undefined : { client: new KMSClient({ region: gateway }) },
      branchKeys: await branchKeysOf(options, io),
      seedFolder: options.seeds,
      limits: { enclaveDeadlineMs: 1_000 * parseDeadline(options["request-deadline"]) },
      log: createLogger(io, "parent", options["log-level"]),
    });
    const { url, tlsAddress } = service;
    const tls = tlsAddress && formatHostPort(tlsAddress);
    const event = { service: "parent", url, ...(tls === undefined ? {} : { tls }) };
    const text = tls === undefined ? `parent at ${url}\n` : `parent at ${url}, TLS at ${tls}\n`;
    return runUntilInterrupted(io, service, { event, text }, options.json);
  },
});

type ParentOptionValues = OptionValues<typeof OPTIONS>;

/** The tunnels to the own Region and to further ones. */
function tunnelsOf(options: ParentOptionValues): { tunnel: TunnelOptions; regionTunnels: TunnelOptions[] } {
  const target = parseHostPort(required(options["kms-target"], "kms-target"), "kms-target");
  const further = (options["region-target"] ?? []).map((text, index) => parseRegionTarget(text, index, options));
  const allow = options.allow?.map((text) => parseHostPort(text, "allow")) ?? [
    target,
    ...further.map((one) => one.target),
  ];
  const bounds = { allow, maxConnections: parseCount(options["max-connections"]) };
  return {
    tunnel: { listen: options.tunnel ?? onVsock(options, "tunnel"), target, ...bounds },
    regionTunnels: further.map((one) => ({ ...one, ...bounds })),
  };
}

function parseRegionTarget(
  text: string,
  index: number,
  options: ParentOptionValues,
): Pick<TunnelOptions, "listen" | "target"> {
  const end = text.lastIndexOf("="); // a path may have one, a host has none
  const target = parseHostPort(text.slice(end + 1), "region-target");
  if (end >= 0) return { listen: text.slice(0, end), target };
  if (isOnVsock(options)) return { listen: anyCid(PORTS.regionTunnel + index), target };
  throw new CommandFailure(2, "--region-target has the form ADDRESS=HOST:PORT");
}

function tlsOf(options: ParentOptionValues): TlsOptions | undefined {
  const { "tls-listen": listen, "enclave-tls": addresses } = options;
  if (listen === undefined && addresses === undefined) return undefined;
  if (!isOnVsock(options)) required(addresses?.[0], "enclave-tls");
  return { listen: parseHostPort(required(listen, "tls-listen"), "tls-listen"), maxConnections: MAX_TLS_CONNECTIONS };
}

async function branchKeysOf(options: ParentOptionValues, io: Io): Promise<BranchKeyStore | undefined> {
  const { "branch-keys-table": name, "branch-keys-folder": folder } = options;
  if (name === undefined && folder === undefined) return undefined;
  const table = required(name, "branch-keys-table");
  if (folder !== undefined) return { kind: "folder", path: resolve(io.cwd, folder), table };
  return { kind: "dynamodb", client: await dynamoClient(), table };
}

/** Where an enclave on vsock looks for its parent: any CID that this machine has, at the usual port. */
function onVsock(options: ParentOptionValues, name: "services" | "tunnel"): string {
  if (!isOnVsock(options)) return required(undefined, name);
  return anyCid(PORTS[name]);
}

const anyCid = (port: number): string => formatAddress({ kind: "vsock", cid: ANY_CID, port });

/** Reads the files once, so that a wrong name is told now and not to the enclave. */
async function tlsCertificateOf(options: ParentOptionValues, io: Io): Promise<TlsCertificateSource | undefined> {
  const [certificate, key] = bothOrNone(options, "tls-certificate", "tls-key") ?? [];
  if (certificate === undefined || key === undefined) return undefined;
  await readTlsCertificate({ certificate, key }, io);
  return () => readTlsCertificate({ certificate, key }, io);
}

type PairedOption = "tls-certificate" | "tls-key";

/** The values of two options of which neither means anything alone. */
function bothOrNone(
  options: ParentOptionValues,
  one: PairedOption,
  other: PairedOption,
): readonly [string, string] | undefined {
  if (options[one] === undefined && options[other] === undefined) return undefined;
  return [required(options[one], one), required(options[other], other)];
}

function parseDeadline(text: string): number {
  const seconds = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > 300) throw new CommandFailure(2, "--request-deadline is a number from 1 to 300");
  return seconds;
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new CommandFailure(2, "--max-connections is a number above 0");
  return Number(text);
}
