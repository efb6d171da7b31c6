/** What clients of the simulated KMS need: files that the AWS SDKs and the AWS CLI read, and lines to call it with. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { SimulatedKms } from "../../simulator/endpoint/server.js";
import type { SimulatedRoot } from "../../simulator/pki/nitro-pki.js";
import { certificatePem } from "../../simulator/pki/root-file.js";
import type { Io } from "../command.js";
import { CONNECTION_FILE, encodeConnection } from "./connection.js";

/** The parts of a running platform that clients are told of. */
export interface Platform {
  readonly kms: SimulatedKms;
  readonly root: SimulatedRoot;
}

export interface ClientFiles {
  /** Where they lie: what the other commands of `kms` find this server by. */
  readonly folder: string;
  readonly caFile: string;
  /** The certificate of the simulated Nitro root, for `nitro-decrypt verify --root`. */
  readonly rootFile: string;
  readonly credentialsFile: string;
  readonly configFile: string;
  remove(): Promise<void>;
}

/** What the AWS SDKs and the AWS CLI read: the CA, the operator's credentials, the endpoint. Readable by nobody else. */
export async function writeFiles({ kms, root }: Platform, given: string | undefined, io: Io): Promise<ClientFiles> {
  const folder = given === undefined ? await mkdtemp(join(tmpdir(), "nitro-decrypt-kms-")) : resolve(io.cwd, given);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [caFile, rootFile, credentialsFile, configFile, connectionFile] = [
    join(folder, "ca.pem"),
    join(folder, "nitro-root.pem"),
    join(folder, "credentials"),
    join(folder, "config"),
    join(folder, CONNECTION_FILE),
  ];
  const { accessKeyId, secretAccessKey } = kms.operator;
  const credentials = `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
  const bundle = kms.endpoint.startsWith("https:") ? `ca_bundle = ${caFile}\n` : "";
  const config = `[default]\nregion = ${kms.region}\nendpoint_url = ${kms.endpoint}\n${bundle}`;
  const written = [
    [caFile, kms.caCertificate],
    [rootFile, certificatePem(root.certificateDer)],
    [credentialsFile, credentials],
    [configFile, config],
    [connectionFile, encodeConnection({ endpoint: kms.endpoint, region: kms.region, caFile, accessKey: kms.operator })],
  ] as const;
  for (const [path, content] of written) {
    await rm(path, { force: true }); // a mode is given to new files only
    await writeFile(path, content, { mode: 0o600, flag: "wx" });
  }
  const remove = async (): Promise<void> => {
    if (given === undefined) await rm(folder, { recursive: true, force: true });
    else await Promise.all(written.map(([path]) => rm(path, { force: true })));
  };
  return { folder, caFile, rootFile, credentialsFile, configFile, remove };
}

/** The text that a person sees when the server is ready. */
export function describe(
  kms: SimulatedKms,
  imdsEndpoint: string,
  { folder, caFile, rootFile, credentialsFile, configFile }: ClientFiles,
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

Make calls fail:  nitro-decrypt kms faults --folder ${folder} --help

Ctrl-C ends it.
`;
}
