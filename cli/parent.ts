/** `nitro-decrypt parent`: the service on the parent instance. */
import { KMSClient } from "@aws-sdk/client-kms";
import type { TlsCertificateSource, TlsOptions } from "../parent/index.js";
import { createParent } from "../parent/index.js";
import { formatHostPort } from "../parent/listen.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import type { OptionValues } from "./options.js";
import { parseHostPort, parseOptions, parseOrigin, required } from "./options.js";
import { createLogger, runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";
import { readTlsCertificate } from "./tls-certificate.js";

const usage = `Runs the service on the parent instance: the HTTP API, the tunnel to AWS KMS, and the enclave's credentials.

Usage: nitro-decrypt parent --enclave ADDRESS --listen HOST:PORT --services ADDRESS --tunnel ADDRESS --kms-target HOST:PORT

An ADDRESS is unix:/path. Credentials come from the AWS SDK's default provider chain; on EC2 that is the instance's role.

  --enclave ADDRESS       the enclave
  --listen HOST:PORT      where clients find the HTTP API; port 0 takes a free one
  --services ADDRESS      where the enclave finds credentials and the gateway
  --tunnel ADDRESS        where the enclave finds the tunnel
  --kms-target HOST:PORT  where the tunnel leads, kms.REGION.amazonaws.com:443 say
  --allow HOST:PORT       a target that is allowed; may be given several times. Without it, --kms-target alone is allowed
  --max-connections N     connections through the tunnel at a time (default 256)
  --allow-origin ORIGIN   pages of this origin may call the API from a browser; may be given several times
  --tls-listen HOST:PORT  where clients find the enclave's TLS, which is passed on as it comes; with --enclave-tls
  --enclave-tls ADDRESS   where the enclave serves TLS
  --tls-certificate FILE  offer the enclave this certificate chain (PEM) when it asks for a renewal; with --tls-key.
  --tls-key FILE          its private key (PKCS #8 DER) as encrypted by AWS KMS, binary or base64. Both files are read
                          anew each time
  --gateway REGION        also make KMS calls in this Region for an enclave whose configuration says "gateway"
${SERVICE_USAGE}`;

const OPTIONS = {
  ...SERVICE_OPTIONS,
  enclave: { type: "string" },
  listen: { type: "string" },
  services: { type: "string" },
  tunnel: { type: "string" },
  "kms-target": { type: "string" },
  allow: { type: "string", multiple: true },
  "max-connections": { type: "string", default: "256" },
  gateway: { type: "string" },
  "allow-origin": { type: "string", multiple: true },
  "tls-listen": { type: "string" },
  "enclave-tls": { type: "string" },
  "tls-certificate": { type: "string" },
  "tls-key": { type: "string" },
} as const;

/** Clients' TLS connections at a time: as many as the HTTP API takes. */
const MAX_TLS_CONNECTIONS = 1_024;

export const parent = defineCommand({
  name: "parent",
  summary: "the service on the parent instance",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    const target = parseHostPort(required(options["kms-target"], "kms-target"), "kms-target");
    const { gateway } = options;
    const service = await createParent({
      enclave: required(options.enclave, "enclave"),
      listen: parseHostPort(required(options.listen, "listen"), "listen"),
      services: required(options.services, "services"),
      tunnel: {
        listen: required(options.tunnel, "tunnel"),
        target,
        allow: options.allow === undefined ? [target] : options.allow.map((text) => parseHostPort(text, "allow")),
        maxConnections: parseCount(options["max-connections"]),
      },
      allowOrigins: options["allow-origin"]?.map(parseOrigin),
      tls: tlsOf(options),
      tlsCertificate: await tlsCertificateOf(options, io),
      gateway: gateway === undefined ? undefined : { client: new KMSClient({ region: gateway }) },
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

function tlsOf(options: ParentOptionValues): TlsOptions | undefined {
  const [listen, enclave] = bothOrNone(options, "tls-listen", "enclave-tls") ?? [];
  if (listen === undefined || enclave === undefined) return undefined;
  return { listen: parseHostPort(listen, "tls-listen"), enclave, maxConnections: MAX_TLS_CONNECTIONS };
}

/** Reads the files once, so that a wrong name is told now and not to the enclave. */
async function tlsCertificateOf(options: ParentOptionValues, io: Io): Promise<TlsCertificateSource | undefined> {
  const [certificate, key] = bothOrNone(options, "tls-certificate", "tls-key") ?? [];
  if (certificate === undefined || key === undefined) return undefined;
  await readTlsCertificate({ certificate, key }, io);
  return () => readTlsCertificate({ certificate, key }, io);
}

type PairedOption = "tls-listen" | "enclave-tls" | "tls-certificate" | "tls-key";

/** The values of two options of which neither means anything alone. */
function bothOrNone(
  options: ParentOptionValues,
  one: PairedOption,
  other: PairedOption,
): readonly [string, string] | undefined {
  if (options[one] === undefined && options[other] === undefined) return undefined;
  return [required(options[one], one), required(options[other], other)];
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new CommandFailure(2, "--max-connections is a number above 0");
  return Number(text);
}
