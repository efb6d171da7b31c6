/** What clients of the simulated KMS need: files that the AWS SDKs and the AWS CLI read, and lines to call it with. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { SimulatedKms } from "../../simulator/endpoint/server.js";
import type { SimulatedRoot } from "../../simulator/pki/nitro-pki.js";
import { certificatePem } from "../../simulator/pki/root-file.js";
import type { Io } from "../command.js";
import { systemFailure } from "../system-failure.js";
import { CONNECTION_FILE, encodeConnection, markIn } from "./connection.js";
import type { Contents } from "./owned-files.js";
import { clearLeftOver, markOf, removeUnchanged, writeNew } from "./owned-files.js";

const CA_FILE = "ca.pem";
const ROOT_FILE = "nitro-root.pem";
const CREDENTIALS_FILE = "credentials";
const CONFIG_FILE = "config";

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

/**
 * What the AWS SDKs and the AWS CLI read: the CA, the operator's credentials, the endpoint. Readable by nobody else.
 * @throws CommandFailure if the folder has files of these names that are not ours
 */
export async function writeFiles(platform: Platform, given: string | undefined, io: Io): Promise<ClientFiles> {
  const folder = given === undefined ? await mkdtemp(join(tmpdir(), "nitro-decrypt-kms-")) : resolve(io.cwd, given);
  const contents = contentsIn(folder, platform);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await clearLeftOver(folder, [...contents.keys()], { markFile: CONNECTION_FILE, mark: await markIn(folder) });
    await writeNew(folder, contents);
  } catch (error) {
    throw systemFailure(`--folder ${folder} cannot be written`, error);
  }
  return {
    folder,
    caFile: join(folder, CA_FILE),
    rootFile: join(folder, ROOT_FILE),
    credentialsFile: join(folder, CREDENTIALS_FILE),
    configFile: join(folder, CONFIG_FILE),
    remove: () =>
      given === undefined ? rm(folder, { recursive: true, force: true }) : removeUnchanged(folder, contents),
  };
}

/** All files, the connection with its mark first. */
function contentsIn(folder: string, { kms, root }: Platform): Contents {
  const { endpoint, region, operator } = kms;
  const caFile = join(folder, CA_FILE);
  const bundle = endpoint.startsWith("https:") ? `ca_bundle = ${caFile}\n` : "";
  const { accessKeyId, secretAccessKey } = operator;
  const marked = new Map([
    [CA_FILE, kms.caCertificate],
    [ROOT_FILE, certificatePem(root.certificateDer)],
    [CREDENTIALS_FILE, `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`],
    [CONFIG_FILE, `[default]\nregion = ${region}\nendpoint_url = ${endpoint}\n${bundle}`],
  ]);
  const connection = encodeConnection({
    endpoint: kms.localEndpoint,
    region,
    caFile,
    accessKey: operator,
    mark: markOf(marked),
  });
  return new Map([[CONNECTION_FILE, connection], ...marked]);
}

/** The text that a person sees when the server is ready. */
export function describe(
  kms: SimulatedKms,
  imdsEndpoint: string,
  { folder, caFile, rootFile, credentialsFile, configFile }: ClientFiles,
): string {
  const secure = kms.endpoint.startsWith("https:");
  const ca = secure ? `\n  CA certificate           ${caFile}` : "";
  const trust = secure ? `\n  export AWS_CA_BUNDLE=${caFile} NODE_EXTRA_CA_CERTS=${caFile}` : "";
  const verify = secure ? `, verify="${caFile}"` : "";
  return `simulated AWS KMS at ${kms.endpoint} (${kms.region}, account ${kms.accountId})${ca}
  simulated Nitro root     ${rootFile}
  operator's credentials   ${credentialsFile}
  instance metadata        ${imdsEndpoint}

AWS CLI, boto3 and the AWS SDKs read these variables:
  export AWS_SHARED_CREDENTIALS_FILE=${credentialsFile}
  export AWS_CONFIG_FILE=${configFile}${trust}

JavaScript:
  import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
  const kms = new KMSClient({ region: "${kms.region}", endpoint: "${kms.endpoint}" });
  console.log(await kms.send(new CreateKeyCommand({})));

Python:
  import boto3
  kms = boto3.client("kms", region_name="${kms.region}", endpoint_url="${kms.endpoint}"${verify})
  print(kms.create_key())

Make calls fail:  nitro-decrypt kms faults --folder ${folder} --help

Ctrl-C ends it.
`;
}
