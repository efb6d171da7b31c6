/** The whole stack as the processes of a deployment, for the benchmarks: simulated KMS and NSM, parent, and an enclave. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { Child } from "../cli/child.js";
import { startChild } from "../cli/child.js";

const START_DEADLINE_MS = 30_000;

export interface Platform {
  readonly kms: Child;
  readonly nsm: Child;
  readonly parent: Child;
  /** Of the parent's HTTP API. */
  readonly url: string;
  readonly addresses: { readonly listen: string; readonly tunnel: string; readonly services: string };
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
export async function startPlatform(): Promise<Platform> {
  const folder = await mkdtemp(join(tmpdir(), "nd-bench-"));
  const pki = join(folder, "pki.json");
  const children: Child[] = [];
  const start = async (label: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const deadlineMs = START_DEADLINE_MS;
    const signal = new AbortController().signal;
    const child = await startChild({ label, args: [...args, "--log-level", "error"], env, deadlineMs, signal });
    children.push(child);
    return child;
  };
  const unix = (name: string) => `unix:${join(folder, name)}`;
  const addresses = { listen: unix("enclave.sock"), tunnel: unix("tunnel.sock"), services: unix("services.sock") };
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
    const parent = await start("parent", ["parent", ...parentArgs, ...tunnelArgs], env);
    const operator = await operatorClient(kms);
    const keyArn = await createKey(operator, String(kms.ready.accountId), String(kms.ready.roleArn));
    const caCertificate = await readFile(String(kms.ready.caFile), "utf8");
    const config = join(folder, "enclave.json");
    await writeFile(config, JSON.stringify(configurationOf(String(region), keyArn, caCertificate)));
    const enclaveArgs = ["--config", config, "--nsm", unix("nsm.sock"), "--listen", addresses.listen];
    const parentSide = ["--tunnel", addresses.tunnel, "--services", addresses.services];
    return {
      ...{ kms, nsm, parent, addresses, caCertificate, keyArn, operator, close },
      url: String(parent.ready.url),
      region: String(region),
      startEnclave: () => start("enclave", ["enclave", ...enclaveArgs, ...parentSide]),
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

const configurationOf = (region: string, arn: string, caCertificate: string) => ({
  version: 1,
  kms: { region, keys: [{ arn }], transport: "tunnel", roots: [caCertificate] },
  channels: { parent: "reveal" },
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
