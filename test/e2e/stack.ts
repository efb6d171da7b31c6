/** The whole product in one process on the simulated platform: what users' own tests look like. */

import { join } from "node:path";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { onTestFinished } from "vitest";
import { attestedKeyPolicy } from "../../cli/demo/aws.js";
import { connectEnclave } from "../../client/connect.js";
import type { Enclave as ConnectedEnclave } from "../../client/enclave.js";
import type { EnclavePolicy } from "../../client/policy.js";
import type { EnclaveOptions } from "../../enclave/index.js";
import { createEnclave } from "../../enclave/index.js";
import type { Parent } from "../../parent/index.js";
import { createParent } from "../../parent/index.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import type { Simulation } from "../../simulator/simulation.js";
import { startSimulation } from "../../simulator/simulation.js";
import type { Json } from "../support/authorization.js";
import { authorizationFor, issuerForTest } from "../support/authorization.js";
import { testFolder } from "../support/folder.js";
import type { Credentials } from "../support/simulated-kms.js";
import { kmsClient } from "../support/simulated-kms.js";

export const CONTEXT = { tenant: "acme", record: "42" };
export const ALIAS = "alias/records";

export interface Stack {
  readonly simulation: Simulation;
  readonly parent: Parent;
  readonly policy: EnclavePolicy;
  readonly keyArn: string;
  /** With the same policy, and without aliases. */
  readonly furtherKeyArns: readonly string[];
  /** A caller's; `connect` uses it. */
  readonly token: string;
  /** The administrator, who also encrypts. */
  readonly operator: KMSClient;
  readonly role: KMSClient;
  encrypt(plaintext: Uint8Array, context?: Readonly<Record<string, string>>): Promise<Uint8Array>;
  connect(token?: string): Promise<ConnectedEnclave>;
}

export interface StackVariation {
  readonly transport?: "tunnel" | "gateway";
  /** The operations that answer the parent in plain; none unless given. */
  readonly openToParent?: readonly string[];
  readonly authorization?: Json;
  /** Keys besides the one; none unless given. */
  readonly furtherKeys?: number;
  /** Starts the enclave in another way than in this process. On return it serves. */
  readonly launch?: (options: EnclaveOptions) => Promise<void>;
}

/** Starts everything; it is closed when the test is over. */
export async function startStack(variation: StackVariation = {}): Promise<Stack> {
  const {
    transport = "tunnel",
    openToParent = [],
    authorization = {},
    furtherKeys = 0,
    launch = launchHere,
  } = variation;
  const { issuer, token } = await issuerForTest();
  const simulation = await startSimulation();
  onTestFinished(() => simulation.close());
  const { kms, region, trustAnchor } = simulation;
  const clientAs = (credentials: Credentials): KMSClient => {
    const client = kmsClient(kms, () => new Date(), credentials);
    onTestFinished(() => client.destroy());
    return client;
  };
  const operator = clientAs(simulation.operator);
  const created = Array.from({ length: 1 + furtherKeys }, () => operator.send(new CreateKeyCommand({})));
  const arns = (await Promise.all(created)).map(({ KeyMetadata }) => KeyMetadata?.Arn ?? "");
  const [keyArn = "", ...furtherKeyArns] = arns;
  await operator.send(new CreateAliasCommand({ AliasName: ALIAS, TargetKeyId: keyArn }));
  const configuration = utf8(
    JSON.stringify({
      version: 1,
      kms: {
        ...{ region, transport, roots: [kms.caCertificate] },
        keys: [{ arn: keyArn, aliases: [ALIAS] }, ...furtherKeyArns.map((arn) => ({ arn }))],
      },
      channels: { parent: openToParent, tls: { certificate: "generated" } },
      authorization: authorizationFor(issuer, authorization),
    }),
  );
  const pcrs = { ...imagePcrs(simulation), 16: toHex(await pcr16OfConfiguration(configuration)) };
  const Policy = attestedKeyPolicy(simulation, pcrs, CONTEXT.tenant);
  for (const KeyId of arns) await operator.send(new PutKeyPolicyCommand({ KeyId, PolicyName: "default", Policy }));
  const role = clientAs(await simulation.roleCredentials());
  const parent = await startEnclaveAndParent(simulation, { configuration, launch }, role);
  const policy: EnclavePolicy = {
    pcrs: [pcrs],
    freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
    debug: "reject",
    configuration: "pinned",
  };
  return {
    ...{ simulation, parent, policy, keyArn, furtherKeyArns, token, operator, role },
    connect: (given = token) => connectEnclave(parent.url, { trustAnchor, policy, token: given }),
    encrypt: async (Plaintext, EncryptionContext = CONTEXT) => {
      const answer = await operator.send(new EncryptCommand({ KeyId: keyArn, Plaintext, EncryptionContext }));
      return answer.CiphertextBlob ?? new Uint8Array();
    },
  };
}

/** A message of the AWS Encryption SDK under the stack's key. */
export async function messageFor({ operator, keyArn }: Stack, plaintext: Uint8Array): Promise<Uint8Array> {
  const neverAsked = async () => ({});
  const keyring = new KmsKeyringNode({
    generatorKeyId: keyArn,
    clientProvider: () => ({
      generateDataKey: (request) => operator.send(new GenerateDataKeyCommand(request)),
      encrypt: neverAsked,
      decrypt: neverAsked,
    }),
  });
  const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
  const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
  return new Uint8Array(
    (await sdk.encrypt(keyring, plaintext, { encryptionContext: CONTEXT, suiteId: 0x0478 })).result,
  );
}

function imagePcrs({ pcrs }: Simulation): { 0: string; 1: string; 2: string } {
  return { 0: pcrs[0] ?? "", 1: pcrs[1] ?? "", 2: pcrs[2] ?? "" };
}

async function startEnclaveAndParent(
  { nsm, kms, roleCredentials }: Simulation,
  { configuration, launch }: { configuration: Uint8Array; launch: (options: EnclaveOptions) => Promise<void> },
  role: KMSClient,
): Promise<Parent> {
  const folder = testFolder();
  const at = (name: string): string => `unix:${join(folder, name)}`;
  const addresses = { listen: at("enclave"), tls: at("tls"), tunnel: at("tunnel"), services: at("services") };
  const { listen, tls, tunnel, services } = addresses;
  await launch({ configuration, nsm, addresses });
  const target = { host: "127.0.0.1", port: kms.port };
  const parent = await createParent({
    enclaves: [{ name: "enclave", address: listen, tls }],
    services,
    listen: { host: "127.0.0.1", port: 0 },
    tunnel: { listen: tunnel, target, allow: [target], maxConnections: 16 },
    tls: { listen: { host: "127.0.0.1", port: 0 }, maxConnections: 16 },
    gateway: { client: role },
    credentials: roleCredentials,
  });
  onTestFinished(() => parent.close());
  return parent;
}

async function launchHere(options: EnclaveOptions): Promise<void> {
  const enclave = await createEnclave(options);
  onTestFinished(() => enclave.close());
}
