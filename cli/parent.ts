/** `nitro-decrypt parent`: the service on the parent instance. */
import { KMSClient } from "@aws-sdk/client-kms";
import { createParent } from "../parent/index.js";
import { CommandFailure, defineCommand } from "./command.js";
import { parseHostPort, parseOptions, required } from "./options.js";
import { createLogger, runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";

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
} as const;

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
      gateway: gateway === undefined ? undefined : { client: new KMSClient({ region: gateway }) },
      log: createLogger(io, "parent", options["log-level"]),
    });
    const { url } = service;
    return runUntilInterrupted(
      io,
      service,
      { event: { service: "parent", url }, text: `parent at ${url}\n` },
      options.json,
    );
  },
});

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new CommandFailure(2, "--max-connections is a number above 0");
  return Number(text);
}
