/**
 * A whole enclave over the simulated platform, in this process: real SDK, TLS and attestation. The parent's part is played
 * by a pipe of bytes (as AWS's vsock-proxy is) and by an answer to each of its services.
 */
import { Agent } from "node:https";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import type { AwsEsdkKMSInterface } from "@aws-crypto/client-node";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import type { KMSClientConfig } from "@aws-sdk/client-kms";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { onTestFinished } from "vitest";
import type { Clock, Enclave, EnclaveFunction } from "../../enclave/index.js";
import { createEnclave } from "../../enclave/index.js";
import type { BranchKeyStore } from "../../parent/branch-key-store.js";
import { callKeyStore } from "../../parent/branch-key-store.js";
import type { GatewayAnswer } from "../../parent/gateway.js";
import { callKms } from "../../parent/gateway.js";
import { utf8 } from "../../shared/bytes.js";
import type { Nsm } from "../../shared/nsm.js";
import type { Simulation, SimulationOptions } from "../../simulator/index.js";
import { exampleImage, startSimulation } from "../../simulator/index.js";
import type { TokenIssuer } from "../../simulator/token-issuer.js";
import type { AddressResponse } from "../../transport/http.js";
import { requestOver } from "../../transport/http.js";
import { listenAt } from "../../transport/listen.js";
import { authorizationFor, issuerForTest } from "../support/authorization.js";
import { testFolder } from "../support/folder.js";
import { anyPeer } from "../support/streams.js";
import type { Json, TestLog } from "./fakes.js";
import { memoryLog } from "./fakes.js";
import type { ServiceAnswer } from "./services.js";
import { fakeServices } from "./services.js";

export const CONTEXT = { tenant: "a" };

/** A KMS with a key that only the first enclave may use, and only with an encryption context. */
export interface Kms {
  readonly simulation: Simulation;
  readonly operator: KMSClient;
  readonly keyArn: string;
  /** Whose tokens the enclaves take. */
  readonly issuer: TokenIssuer;
  /** One of them, for whoever is not the test's subject. */
  readonly token: string;
  encrypt(plaintext: Uint8Array, context?: Readonly<Record<string, string>>): Promise<Uint8Array>;
  /** The key's policy: the operator administers and encrypts, the role may what `conditions` let it. */
  allow(conditions: Json): Promise<void>;
}

export const ALIAS = "alias/secrets";

export async function startKmsForTest(options: SimulationOptions = {}): Promise<Kms> {
  const simulation = await startSimulation(options);
  const operator = clientOf(simulation, { credentials: simulation.operator });
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({}));
  const keyArn = KeyMetadata?.Arn ?? "";
  await operator.send(new CreateAliasCommand({ AliasName: ALIAS, TargetKeyId: keyArn }));
  const kms: Kms = {
    ...(await issuerForTest()),
    simulation,
    operator,
    keyArn,
    async encrypt(plaintext, context = CONTEXT) {
      const command = new EncryptCommand({ KeyId: keyArn, Plaintext: plaintext, EncryptionContext: context });
      return (await operator.send(command)).CiphertextBlob ?? new Uint8Array();
    },
    async allow(conditions) {
      await operator.send(new PutKeyPolicyCommand({ KeyId: keyArn, Policy: policyOf(simulation, conditions) }));
    },
  };
  await kms.allow({
    StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": simulation.pcrs[0] },
    StringEquals: { "kms:EncryptionContext:tenant": CONTEXT.tenant },
  });
  return kms;
}

export function clientOf({ kms }: Simulation, changes: KMSClientConfig): KMSClient {
  const httpsAgent = new Agent({ ca: kms.caCertificate });
  return new KMSClient({
    region: kms.region,
    endpoint: kms.endpoint,
    requestHandler: new NodeHttpHandler({ httpsAgent }),
    ...changes,
  });
}

/** A key's policy: the operator administers and encrypts, the role may what `conditions` let it. */
export function policyOf({ roleArn, accountId }: Simulation, conditions: Json): string {
  const root = { AWS: `arn:aws:iam::${accountId}:root` };
  const role = { Effect: "Allow", Principal: { AWS: roleArn }, Resource: "*" };
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: root, Action: "kms:*", Resource: "*" },
      { ...role, Action: ["kms:Decrypt", "kms:GenerateDataKey"], Condition: conditions },
    ],
  });
}

/** A pipe of bytes from a Unix socket to a port on loopback; it knows nothing of what passes. */
export async function bytePipe(port: number): Promise<string> {
  const address = `unix:${join(testFolder(), "tunnel")}`;
  const server = createServer((inner) => {
    const outer = connect(port, "127.0.0.1");
    onTestFinished(() => void inner.destroy());
    inner.on("error", () => outer.destroy()).on("close", () => outer.destroy());
    outer.on("error", () => inner.destroy()).on("close", () => inner.destroy());
    inner.pipe(outer).pipe(inner);
  });
  onTestFinished(() => void server.close());
  await listenAt(server, address, anyPeer);
  return address;
}

export interface Stack {
  readonly enclave: Enclave;
  readonly tlsAddress: string;
  readonly log: TestLog;
  readonly configuration: Uint8Array;
  /** What the parent's gateway was asked. */
  readonly gatewayTargets: string[];
  request(method: string, path: string, options?: RequestOptions): Promise<AddressResponse>;
  /** The JSON of a request's answer with its status. */
  json(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json }>;
}

export interface RequestOptions {
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StackChanges {
  readonly configuration?: Json;
  readonly kms?: Json;
  readonly nsm?: Nsm;
  readonly tunnel?: string;
  readonly regionTunnels?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly functions?: readonly EnclaveFunction[];
  readonly authorization?: Json;
  /** Attested TLS with a generated certificate, or as it says. */
  readonly tls?: true | Json;
  /** Where the parent's services are, in place of those that are played here. */
  readonly services?: string;
  /** What the parent offers as a renewed certificate; nothing unless given. */
  readonly tlsCertificate?: () => unknown;
  /** Where the parent finds records of branch keys. */
  readonly branchKeys?: BranchKeyStore;
  /** What the parent answers for credentials. */
  readonly credentials?: () => Promise<unknown>;
}

export async function startStack(kms: Kms, changes: StackChanges = {}): Promise<Stack> {
  const { simulation } = kms;
  const configuration = utf8(JSON.stringify(configurationOf(kms, changes)));
  const gatewayTargets: string[] = [];
  const services = await fakeServices({
    "/credentials": async () => ({ body: await (changes.credentials?.() ?? roleCredentials(simulation)) }),
    "/tls-certificate": () => {
      const body = changes.tlsCertificate?.();
      return body === undefined ? { status: 404, body: {} } : { body };
    },
    "/dynamodb": (call) => keyStoreAnswer(changes.branchKeys, call),
    "/kms": async (call) => {
      gatewayTargets.push(String(call.target));
      return { body: await gatewayCall(simulation, call) };
    },
  });
  const log = memoryLog();
  const tlsAddress = `unix:${join(testFolder(), "tls")}`;
  const enclave = await createEnclave({
    configuration,
    nsm: changes.nsm ?? (await simulation.bootEnclave(exampleImage())).nsm,
    addresses: {
      listen: `unix:${join(testFolder(), "enclave")}`,
      tunnel: changes.tunnel ?? (await bytePipe(simulation.kms.port)),
      regionTunnels: changes.regionTunnels,
      services: changes.services ?? services.address,
      ...(changes.tls ? { tls: tlsAddress } : {}),
    },
    log,
    functions: changes.functions ?? [],
    ...(changes.clock ? { clock: changes.clock } : {}),
  });
  onTestFinished(() => enclave.close());
  const request = (method: string, path: string, { body, headers = {} }: RequestOptions = {}) => {
    const forBody = { "content-type": "application/json", authorization: `Bearer ${kms.token}` };
    return requestOver(enclave.address, {
      ...{ method, path, deadlineMs: 20_000, maxResponseBytes: 2_000_000 },
      ...{ body, headers: { ...(body ? forBody : {}), ...headers } },
    });
  };
  const json = async (method: string, path: string, body?: unknown) => {
    const answer = await request(method, path, body === undefined ? {} : { body: utf8(JSON.stringify(body)) });
    return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString()) };
  };
  return { enclave, tlsAddress, log, configuration, gatewayTargets, request, json };
}

const tlsOf = ({ tls }: StackChanges): Json =>
  tls === undefined ? {} : { tls: tls === true ? { certificate: "generated" } : tls };

const OPERATIONS = [
  "decrypt",
  "data-keys",
  "random",
  "messages/decrypt",
  "messages/encrypt",
  "messages/re-encrypt",
  "caches/wipe",
];

export const configurationOf = ({ simulation, keyArn, issuer }: Kms, changes: StackChanges = {}): Json => ({
  version: 1,
  kms: {
    region: simulation.region,
    keys: [{ arn: keyArn, aliases: [ALIAS] }],
    transport: "tunnel",
    roots: [simulation.kms.caCertificate],
    ...changes.kms,
  },
  channels: { parent: OPERATIONS, ...tlsOf(changes) },
  authorization: authorizationFor(issuer, changes.authorization),
  ...changes.configuration,
});

/** What a parent serves at `GET /credentials`. */
export async function roleCredentials(simulation: Simulation): Promise<Json> {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = await simulation.roleCredentials();
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration.toISOString() };
}

/** The parent's end of the key store, failures included. */
async function keyStoreAnswer(store: BranchKeyStore | undefined, call: Json): Promise<ServiceAnswer> {
  if (store === undefined) return { status: 404, body: {} };
  try {
    return { body: await callKeyStore(store, JSON.stringify(call), 10_000) };
  } catch (error) {
    return { status: 503, body: { message: String(error) } };
  }
}

/** The parent's end of the gateway, with its role. */
const gatewayCall = (simulation: Simulation, call: Json): Promise<GatewayAnswer> =>
  callKms(clientOf(simulation, { credentials: simulation.roleCredentials }), JSON.stringify(call), 10_000);

/** An AWS Encryption SDK message by the operator, as any user of the SDK would make it. */
export async function messageOf(kms: Kms, plaintext: Uint8Array, context: Readonly<Record<string, string>>) {
  const { operator, keyArn } = kms;
  const client: AwsEsdkKMSInterface = {
    generateDataKey: (request) => operator.send(new GenerateDataKeyCommand(request)),
    encrypt: (request) => operator.send(new EncryptCommand(request)),
    decrypt: (request) => operator.send(new DecryptCommand(request)),
  };
  const keyring = new KmsKeyringNode({ clientProvider: () => client, generatorKeyId: keyArn });
  const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
  const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
  return (await sdk.encrypt(keyring, plaintext, { encryptionContext: context })).result;
}
