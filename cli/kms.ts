/** `nitro-decrypt kms`: the simulated AWS KMS and instance metadata service, with all that a client needs to call them. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { SimulatedKms } from "../simulator/endpoint/server.js";
import { startKms } from "../simulator/endpoint/server.js";
import { Principals } from "../simulator/iam/principals.js";
import { startImds } from "../simulator/imds.js";
import type { SimulatedRoot } from "../simulator/pki/nitro-pki.js";
import { createNitroPki } from "../simulator/pki/nitro-pki.js";
import { certificatePem } from "../simulator/pki/root-file.js";
import { createRoleCredentials } from "../simulator/role-credentials.js";
import { RANDOM_ONLY_POLICY } from "../simulator/simulation.js";
import type { Io } from "./command.js";
import { CommandFailure, defineCommand } from "./command.js";
import type { OptionValues } from "./options.js";
import { parseOptions, parsePort } from "./options.js";
import { runUntilInterrupted, SERVICE_OPTIONS, SERVICE_USAGE } from "./service.js";
import { simulatedRoot } from "./simulated-root.js";

const usage = `Runs a simulated AWS KMS (HTTPS, under a CA of its own) and the instance metadata service of a parent instance.

Usage: nitro-decrypt kms [--pki FILE] [--folder FOLDER] [options]

It believes attestation documents under the simulated root alone, and forgets its keys when it ends. It prints where its
CA certificate and the operator's credentials lie, and lines to call it with.

  --pki FILE         the simulated Nitro root, shared with "nitro-decrypt nsm"; made if it is not there
  --folder FOLDER    where ca.pem, nitro-root.pem, credentials and config are written; a temporary one that goes away unless given
  --region REGION    default us-east-1
  --account ID       default 111122223333
  --role NAME        the parent instance's role, default enclave-parent
  --instance-id ID   the parent instance, i-<17 hex>
  --port PORT        of the KMS; default a free one
  --imds-port PORT   of the instance metadata service; default a free one
  --freshness S      how old an attestation document may be, default 300 seconds
${SERVICE_USAGE}
With --json every call is one more line, {"event":"call","record":…}, with the CloudTrail record of it.
`;

const OPTIONS = {
  ...SERVICE_OPTIONS,
  pki: { type: "string" },
  folder: { type: "string" },
  region: { type: "string", default: "us-east-1" },
  account: { type: "string", default: "111122223333" },
  role: { type: "string", default: "enclave-parent" },
  "instance-id": { type: "string", default: "i-0123456789abcdef0" },
  port: { type: "string", default: "0" },
  "imds-port": { type: "string", default: "0" },
  freshness: { type: "string", default: "300" },
} as const;

type Values = OptionValues<typeof OPTIONS>;

const CREDENTIAL_LIFETIME_SECONDS = 6 * 3600;

export const kms = defineCommand({
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
  const { region, account: accountId, role: roleName } = options;
  const instanceId = options["instance-id"];
  const clock = io.now;
  const port = parsePort(options.port, "port");
  const imdsPort = parsePort(options["imds-port"], "imds-port");
  const { trustAnchor, root } = await createNitroPki({ clock, region, root: await simulatedRoot(io, options.pki) });
  const principals = new Principals({ accountId, region, clock });
  const roleArn = principals.addRole({ name: roleName, policies: [RANDOM_ONLY_POLICY] });
  const lifetimeSeconds = CREDENTIAL_LIFETIME_SECONDS;
  const credentials = createRoleCredentials({ principals, roleArn, sessionName: instanceId, lifetimeSeconds, clock });
  const freshnessSeconds = parseSeconds(options.freshness);
  const kms = await startKms({ trustAnchor, region, accountId, clock, freshnessSeconds, port, principals });
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

interface Platform {
  readonly kms: SimulatedKms;
  readonly root: SimulatedRoot;
}

interface ClientFiles {
  readonly caFile: string;
  /** The certificate of the simulated Nitro root, for `nitro-decrypt verify --root`. */
  readonly rootFile: string;
  readonly credentialsFile: string;
  readonly configFile: string;
  remove(): Promise<void>;
}

/** What the AWS SDKs and the AWS CLI read: the CA, the operator's credentials, the endpoint. Readable by nobody else. */
async function writeFiles({ kms, root }: Platform, given: string | undefined, io: Io): Promise<ClientFiles> {
  const folder = given === undefined ? await mkdtemp(join(tmpdir(), "nitro-decrypt-kms-")) : resolve(io.cwd, given);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [caFile, rootFile, credentialsFile, configFile] = [
    join(folder, "ca.pem"),
    join(folder, "nitro-root.pem"),
    join(folder, "credentials"),
    join(folder, "config"),
  ];
  const { accessKeyId, secretAccessKey } = kms.operator;
  const credentials = `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
  const config = `[default]\nregion = ${kms.region}\nendpoint_url = ${kms.endpoint}\nca_bundle = ${caFile}\n`;
  const written = [
    [caFile, kms.caCertificate],
    [rootFile, certificatePem(root.certificateDer)],
    [credentialsFile, credentials],
    [configFile, config],
  ] as const;
  for (const [path, content] of written) {
    await rm(path, { force: true }); // a mode is given to new files only
    await writeFile(path, content, { mode: 0o600, flag: "wx" });
  }
  const remove = async (): Promise<void> => {
    if (given === undefined) await rm(folder, { recursive: true, force: true });
    else await Promise.all(written.map(([path]) => rm(path, { force: true })));
  };
  return { caFile, rootFile, credentialsFile, configFile, remove };
}

function describe(
  kms: SimulatedKms,
  imdsEndpoint: string,
  { caFile, rootFile, credentialsFile, configFile }: ClientFiles,
): string {
  return `simulated AWS KMS at ${kms.endpoint} (${kms.region}, account ${kms.accountId})
  CA certificate           ${caFile}
  simulated Nitro root     ${rootFile}
  operator's credentials   ${credentialsFile}
  instance metadata        ${imdsEndpoint}

AWS CLI, boto3 and the AWS SDKs read these variables:
  export AWS_SHARED_CREDENTIALS_FILE=${credentialsFile}
  export AWS_CONFIG_FILE=${configFile}
  export AWS_CA_BUNDLE=${caFile} NODE_EXTRA_CA_CERTS=${caFile}

JavaScript:
  import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
  const kms = new KMSClient({ region: "${kms.region}", endpoint: "${kms.endpoint}" });
  console.log(await kms.send(new CreateKeyCommand({})));

Python:
  import boto3
  kms = boto3.client("kms", region_name="${kms.region}", endpoint_url="${kms.endpoint}", verify="${caFile}")
  print(kms.create_key())

Ctrl-C ends it.
`;
}

function parseSeconds(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new CommandFailure(2, "--freshness is a number of seconds");
  return Number(text);
}
