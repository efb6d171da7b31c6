/** The options of `nitro-decrypt kms`, and what they say once each has been looked at. */
import { isIP } from "node:net";
import { isRegionName } from "../../simulator/kms/regions.js";
import { CommandFailure } from "../command.js";
import { parseSecondsOption } from "../option-values.js";
import type { OptionValues } from "../options.js";
import { parsePort } from "../options.js";
import { SERVICE_OPTIONS, SERVICE_USAGE } from "../service.js";
import { DATA_OPTIONS, DATA_USAGE } from "./data-options.js";

export const usage = `Runs a simulated AWS KMS (HTTPS, under a CA of its own) and the instance metadata service of a parent instance.

Usage: nitro-decrypt kms [--pki FILE] [--folder FOLDER] [options]
       nitro-decrypt kms faults --folder FOLDER     make calls fail
       nitro-decrypt kms explain --folder FOLDER    why a call was allowed or refused
       nitro-decrypt kms audit --data FOLDER        its calls, as a table
       nitro-decrypt kms cost --data FOLDER         what its calls and keys would cost at AWS
       nitro-decrypt kms world                      an example of a world.json

It believes attestation documents under the simulated root alone, and forgets its keys when it ends
unless --data keeps them. It prints where its CA certificate and the operator's credentials lie, and lines to call it with.

  --pki FILE         the simulated Nitro root, shared with "nitro-decrypt nsm"; made if it is not there;
                     default FOLDER.pki beside the folder of --data, and without --data a new one that ends with this process
  --folder FOLDER    where ca.pem, nitro-root.pem, credentials and config are written; a temporary one that goes away unless given
${DATA_USAGE}  --region REGION    default us-east-1
  --account ID       default 111122223333
  --role NAME        the parent instance's role, default enclave-parent
  --instance-id ID   the parent instance, i-<17 hex>
  --port PORT        of the KMS; default a free one
  --host ADDRESS     where it listens, default 127.0.0.1
  --tls-name NAME    a host name or address that clients call it by, for its certificate, besides localhost; more than one:
                     repeated or with commas. The first one is in the endpoint that is printed
  --http             plain HTTP in place of TLS: everybody on the way sees the plaintexts
  --quotas           AWS's request quotas count: what is over is a ThrottlingException
  --world FILE       accounts, organisation, roles, access keys and VPC endpoints around the keys (see "nitro-decrypt kms world --help")
  --faults FILE      a plan of what goes wrong (see "nitro-decrypt kms faults --help")
  --imds-port PORT   of the instance metadata service; default a free one
  --freshness S      how old an attestation document may be, default 300 seconds
  --grant-consistency S
                     how long a grant takes to count without its token, default 0 seconds; at AWS up to five minutes
${SERVICE_USAGE}
With --json every call is one more line, {"event":"call","record":…}, with the CloudTrail record of it.
`;

export const OPTIONS = {
  ...SERVICE_OPTIONS,
  ...DATA_OPTIONS,
  pki: { type: "string" },
  folder: { type: "string" },
  region: { type: "string", default: "us-east-1" },
  account: { type: "string", default: "111122223333" },
  role: { type: "string", default: "enclave-parent" },
  "instance-id": { type: "string", default: "i-0123456789abcdef0" },
  port: { type: "string", default: "0" },
  host: { type: "string", default: "127.0.0.1" },
  "tls-name": { type: "string", multiple: true },
  http: { type: "boolean" },
  world: { type: "string" },
  faults: { type: "string" },
  quotas: { type: "boolean" },
  "imds-port": { type: "string", default: "0" },
  freshness: { type: "string", default: "300" },
  "grant-consistency": { type: "string", default: "0" },
} as const;

export type Values = OptionValues<typeof OPTIONS>;

/** What a KMS and a metadata service are started with. @throws CommandFailure for a value of another form */
export function settingsOf(options: Values) {
  const { account, role, host } = options;
  const instanceId = options["instance-id"];
  if (!/^\d{12}$/.test(account)) throw new CommandFailure(2, "--account is an account id of 12 digits");
  if (!/^i-[0-9a-f]{17}$/.test(instanceId)) throw new CommandFailure(2, "--instance-id has the form i-<17 hex>");
  // IAM API reference, CreateRole, "RoleName".
  if (!/^[\w+=,.@-]{1,64}$/.test(role)) {
    throw new CommandFailure(2, `--role expects a name of 1 to 64 letters, digits and +=,.@_-, got "${role}"`);
  }
  return {
    region: parseRegion(options.region),
    accountId: account,
    roleName: role,
    instanceId,
    host,
    port: parsePort(options.port, "port"),
    imdsPort: parsePort(options["imds-port"], "imds-port"),
    protocol: options.http ? ("http" as const) : ("https" as const),
    tlsNames: tlsNamesOf(options),
    quotas: options.quotas ?? false,
    freshnessSeconds: parseSecondsOption("freshness", options.freshness),
    grantConsistencySeconds: parseSecondsOption("grant-consistency", options["grant-consistency"]),
  };
}

/** The name of a Region. @throws CommandFailure */
export function parseRegion(text: string): string {
  if (isRegionName(text)) return text;
  throw new CommandFailure(2, `--region expects the name of an AWS Region, such as us-east-1, got "${text}"`);
}

/** A host name in lower case (RFC 1123 §2.1), as certificates and SNI have it. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function tlsNamesOf({ "tls-name": given = [], http }: Values): readonly string[] {
  if (given.length > 0 && http) throw new CommandFailure(2, "--tls-name and --http exclude each other");
  const names = given.flatMap((text) => text.split(","));
  for (const name of names) {
    if (isIP(name) !== 0 || HOST_NAME.test(name)) continue;
    throw new CommandFailure(2, `--tls-name expects a host name in lower case or an IP address, got "${name}"`);
  }
  return names;
}
