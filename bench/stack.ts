/** The whole stack as the processes of a deployment, for the benchmarks: simulated KMS and NSM, parent, and an enclave. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { Child, ChildOptions } from "../cli/child.js";
import { startChild } from "../cli/child.js";
import type { Callers } from "./callers.js";
import { createCallers, OPERATIONS } from "./callers.js";

const START_DEADLINE_MS = 30_000;
/** Node's options in the enclave's image, by which the enclaves of the benchmarks start as well. */
export const ENCLAVE_NODE_OPTIONS = ["--max-semi-space-size=8"];

export interface PlatformOptions {
  /** The enclave's program; the command line's own unless given. */
  readonly entry?: URL;
  /** The functions that it has, by their operations' names. */
  readonly functions?: readonly string[];
  /** `sealed` and `tls` of the configuration's channels; without `tls` there is none. */
  readonly channels?: Readonly<Record<string, object>>;
}

export interface Platform {
  readonly kms: Child;
  readonly nsm: Child;
  readonly parent: Child;
  /** Of the parent's HTTP API. */
  readonly url: string;
  readonly addresses: { readonly listen: string; readonly tunnel: string; readonly services: string };
  /** A caller that the enclave permits everything, by its token. */
  readonly token: string;
  /** PEM of the CA of the simulated KMS. */
  readonly caCertificate: string;
  readonly region: string;
  readonly keyArn: string;
  /** The SDK's plain client, straight to the simulated KMS, as the operator. */
  readonly operator: KMSClient;
  /** Starts the enclave process. */
  startEnclave(): Promise<Child>;
  /** Boots the NSM afresh, as a restart of the enclave does. */
  restartNsm(): Promise<void>;
  close(): Promise<void>;
}

/** Starts everything but the enclave, with one key that any principal of the account may use. */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const folder = await mkdtemp(join(tmpdir(), "nd-bench-"));
  const pki = join(folder, "pki.json");
  const children: Child[] = [];
  const start = async (
    label: string,
    args: readonly string[],
    { env = {}, entry }: Partial<Pick<ChildOptions, "env" | "entry">> = {},
  ) => {
    const deadlineMs = START_DEADLINE_MS;
    const signal = new AbortController().signal;
    const child = await startChild({
      ...{ label, args: [...args, "--log-level", "error"], env, deadlineMs, signal },
      ...(entry === undefined ? {} : { entry }),
    });
    children.push(child);
    return child;
  };
  const unix = (name: string) => `unix:${join(folder, name)}`;
  const addresses = { listen: unix("enclave.sock"), tunnel: unix("tunnel.sock"), services: unix("services.sock") };
  const tls = options.channels?.tls === undefined ? undefined : unix("tls.sock");
  const close = async (): Promise<void> => {
    for (const child of children.reverse()) await child.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const kms = await start("kms", ["kms", "--pki", pki, "--folder", folder]);
    const { region, imdsEndpoint, port } = kms.ready;
    const startNsm = () => start("nsm", ["nsm", "--listen", unix("nsm.sock"), "--pki", pki]);
    let nsm = await startNsm();
    const parentArgs = ["--enclave", addresses.listen, "--listen", "127.0.0.1:0", "--services", addresses.services];
    const tunnelArgs = ["--tunnel", addresses.tunnel, "--kms-target", `127.0.0.1:${port}`];
    const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: String(imdsEndpoint), AWS_REGION: String(region) };
    const tlsArgs = tls === undefined ? [] : ["--tls-listen", "127.0.0.1:0", "--enclave-tls", tls];
    const parent = await start("parent", ["parent", ...parentArgs, ...tunnelArgs, ...tlsArgs], { env });
    const operator = await operatorClient(kms);
    const keyArn = await createKey(operator, String(kms.ready.accountId), String(kms.ready.roleArn));
    const caCertificate = await readFile(String(kms.ready.caFile), "utf8");
    const config = join(folder, "enclave.json");
    const callers = await createCallers(options.functions ?? []);
    const kmsSettings = { region, keys: [{ arn: keyArn }], transport: "tunnel", roots: [caCertificate] };
    await writeFile(config, JSON.stringify(configurationOf(kmsSettings, callers, options)));
    const enclaveArgs = ["--config", config, "--nsm", unix("nsm.sock"), "--listen", addresses.listen];
    const parentSide = ["--tunnel", addresses.tunnel, "--services", addresses.services];
    const tlsSide = tls === undefined ? [] : ["--tls", tls];
    return {
      ...{ kms, nsm, parent, addresses, caCertificate, keyArn, operator, close },
      token: callers.token,
      url: String(parent.ready.url),
      region: String(region),
      startEnclave: () =>
        start("enclave", ["enclave", ...enclaveArgs, ...parentSide, ...tlsSide], {
          ...{ ...options, env: { NODE_OPTIONS: ENCLAVE_NODE_OPTIONS.join(" ") } },
        }),
      async restartNsm() {
        await nsm.stop();
        nsm = await startNsm();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const configurationOf = (kms: object, callers: Callers, { functions = [], channels = {} }: PlatformOptions) => ({
  version: 1,
  kms,
  channels: { ...channels, parent: [...OPERATIONS, ...functions] },
  authorization: callers.configuration,
});

async function operatorClient({ ready }: Child): Promise<KMSClient> {
  const text = await readFile(String(ready.credentialsFile), "utf8");
  const field = (name: string) => new RegExp(`^${name} = (.+)$`, "m").exec(text)?.[1] ?? "";
  const ca = await readFile(String(ready.caFile), "utf8");
  return new KMSClient({
    region: String(ready.region),
    endpoint: String(ready.endpoint),
    credentials: { accessKeyId: field("aws_access_key_id"), secretAccessKey: field("aws_secret_access_key") },
    requestHandler: new NodeHttpHandler({ httpsAgent: new Agent({ ca, keepAlive: true, maxSockets: 64 }) }),
  });
}

/** A key that the account's administrators and the parent's role may use, attested or not. */
async function createKey(operator: KMSClient, accountId: string, roleArn: string): Promise<string> {
  const statement = (AWS: string) => ({ Effect: "Allow", Principal: { AWS }, Action: "kms:*", Resource: "*" });
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [statement(`arn:aws:iam::${accountId}:root`), statement(roleArn)],
  });
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({ Policy }));
  return KeyMetadata?.Arn ?? "";
}
