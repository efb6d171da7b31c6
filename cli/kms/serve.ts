/** `nitro-decrypt kms` without a subcommand: the simulated AWS KMS and instance metadata service, with all that a client needs to call them. */
import { startKms } from "../../simulator/endpoint/server.js";
import { partitionOf } from "../../simulator/iam/arn.js";
import { Principals } from "../../simulator/iam/principals.js";
import { startImds } from "../../simulator/imds.js";
import { createNitroPki } from "../../simulator/pki/nitro-pki.js";
import { createRoleCredentials } from "../../simulator/role-credentials.js";
import { RANDOM_ONLY_POLICY } from "../../simulator/simulation.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import type { OptionValues } from "../options.js";
import { parseOptions, parsePort } from "../options.js";
import { runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "../service.js";
import { simulatedRoot } from "../simulated-root.js";
import { describe, writeFiles } from "./client-files.js";
import { DATA_OPTIONS, DATA_USAGE, dataOptions, rethrown } from "./data-options.js";
import { readPlan } from "./faults.js";
import { readWorldFile } from "./world.js";

const usage = `Runs a simulated AWS KMS (HTTPS, under a CA of its own) and the instance metadata service of a parent instance.

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
  --http             plain HTTP in place of TLS: everybody on the way sees the plaintexts
  --quotas           AWS's request quotas count: what is over is a ThrottlingException
  --world FILE       accounts, organisation, roles, access keys and VPC endpoints around the keys (see "nitro-decrypt kms world --help")
  --faults FILE      a plan of what goes wrong (see "nitro-decrypt kms faults --help")
  --imds-port PORT   of the instance metadata service; default a free one
  --freshness S      how old an attestation document may be, default 300 seconds
${SERVICE_USAGE}
With --json every call is one more line, {"event":"call","record":…}, with the CloudTrail record of it.
`;

const OPTIONS = {
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
  http: { type: "boolean" },
  world: { type: "string" },
  faults: { type: "string" },
  quotas: { type: "boolean" },
  "imds-port": { type: "string", default: "0" },
  freshness: { type: "string", default: "300" },
} as const;

type Values = OptionValues<typeof OPTIONS>;

const CREDENTIAL_LIFETIME_SECONDS = 6 * 3600;

export const serve = defineCommand({
  name: "kms",
  summary: "a simulated AWS KMS and instance metadata service",
  usage,
  async execute(argv, io) {
    const options = parseOptions(argv, OPTIONS);
    if (!/^\d{12}$/.test(options.account)) throw new CommandFailure(2, "--account is an account id of 12 digits");
    if (!/^i-[0-9a-f]{17}$/.test(options["instance-id"])) {
      throw new CommandFailure(2, "--instance-id has the form i-<17 hex>");
    }
    const { platform, event } = await start(options, io);
    try {
      const files = await writeFiles(platform, options.folder, io);
      const close = async (): Promise<void> => {
        await platform.close();
        await files.remove();
      };
      if (options.json) {
        platform.kms.auditLog.subscribe((record) => io.stdout(`${JSON.stringify({ event: "call", record })}\n`));
      }
      const { caFile, rootFile, credentialsFile, configFile } = files;
      const announcement = {
        event: { ...event, caFile, rootFile, credentialsFile, configFile },
        text: describe(platform.kms, platform.imds.endpoint, files),
      };
      return await runUntilInterrupted(io, { close }, announcement, options.json);
    } catch (error) {
      await platform.close();
      throw error;
    }
  },
});

/** KMS and metadata service over the same principals. */
async function start(options: Values, io: Io) {
  const { region, account: accountId, role: roleName, host } = options;
  const plan = options.faults === undefined ? {} : await readPlan(options.faults, io);
  const data = dataOptions(options, io);
  const pki = options.pki ?? (data && `${data.folder}.pki`);
  const instanceId = options["instance-id"];
  const clock = io.now;
  const port = parsePort(options.port, "port");
  const imdsPort = parsePort(options["imds-port"], "imds-port");
  const { trustAnchor, root } = await createNitroPki({ clock, region, root: await simulatedRoot(io, pki) });
  const around = options.world === undefined ? {} : { world: await readWorldFile(options.world, region, io) };
  const principals = new Principals({ accountId, region, clock, ...around });
  const role = principals.roleOf(`arn:${partitionOf(region)}:iam::${accountId}:role/${roleName}`);
  const roleArn = role?.arn ?? principals.addRole({ name: roleName, policies: [RANDOM_ONLY_POLICY] });
  const lifetimeSeconds = CREDENTIAL_LIFETIME_SECONDS;
  const credentials = createRoleCredentials({ principals, roleArn, sessionName: instanceId, lifetimeSeconds, clock });
  const freshnessSeconds = parseSeconds(options.freshness);
  const kms = await startKms({
    trustAnchor,
    region,
    accountId,
    clock,
    freshnessSeconds,
    port,
    principals,
    host,
    protocol: options.http ? "http" : "https",
    quotas: options.quotas ?? false,
    ...(data === undefined ? {} : { data }),
  }).catch(rethrown);
  kms.faults.set(plan);
  const imds = await startImds({ roleName, credentials, instanceId, region, clock, port: imdsPort }).catch(
    async (error: unknown) => {
      await kms.close();
      throw error;
    },
  );
  const close = async (): Promise<void> => {
    await imds.close();
    await kms.close();
  };
  const { endpoint } = kms;
  const event = { service: "kms", endpoint, port: kms.port, region, accountId, roleArn, instanceId, trustAnchor };
  return { platform: { kms, imds, root, close }, event: { ...event, imdsEndpoint: imds.endpoint } };
}

function parseSeconds(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new CommandFailure(2, "--freshness is a number of seconds");
  return Number(text);
}
