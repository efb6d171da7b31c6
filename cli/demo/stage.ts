/**
 * The scene of the demo: the simulated AWS with two keys, the image and configuration of the enclave and what they
 * measure to, and the enclaves by name. Main is as it should be; of the others each differs in one thing.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import { CreateKeyCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import type { Parent } from "../../parent/index.js";
import { createParent } from "../../parent/index.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../shared/bytes.js";
import type { TokenIssuer } from "../../simulator/token-issuer.js";
import { createTokenIssuer } from "../../simulator/token-issuer.js";
import type {
  EnclaveProcess,
  ImageOnDisk,
  KmsProcess,
  LocalStack,
  ParentListen,
  ParentProcess,
} from "../local-stack.js";
import type { Credentials } from "./aws.js";
import { attestedKeyPolicy, kmsClient, parentsOwnKeyPolicy, roleCredentials, unusedKeyPolicy } from "./aws.js";
import type { Evidence } from "./evidence.js";
import type { DemoImages } from "./image.js";
import { POLICIES, SCHEMA } from "./policies.js";

/** The pair that the key policy demands in every encryption context. */
export const TENANT = "acme";

export type Pcrs = DemoImages["referencePcrs"] & { readonly 16: string };

/** AWS, simulated: before any enclave. */
export interface Cloud {
  readonly stack: LocalStack;
  readonly evidence: Evidence;
  readonly images: DemoImages;
  readonly kms: KmsProcess;
  /** The administrator, who also encrypts. */
  readonly operator: KMSClient;
  /** The parent instance's role, as any process on it can have it. */
  readonly role: KMSClient;
  readonly roleCredentials: Credentials;
  /** Whose tokens the enclaves take. */
  readonly issuer: TokenIssuer;
}

/** A key, the configuration of the one enclave that may use it, and what that enclave measures to. */
export interface AttestedKey {
  readonly arn: string;
  readonly configuration: Uint8Array;
  readonly pcrs: Pcrs;
}

export interface Keys {
  readonly main: AttestedKey;
  /** Of the enclave that reaches KMS through the gateway: another configuration, so another key policy. */
  readonly gateway: AttestedKey;
  /** ARN of a key that asks for no attestation and belongs to the parent. */
  readonly parents: string;
}

export interface Running {
  readonly enclave: EnclaveProcess;
  readonly parent: ParentProcess;
}

export async function enterCloud(
  options: Pick<Cloud, "stack" | "evidence" | "images"> & { readonly kms: KmsProcess },
): Promise<Cloud> {
  const { kms } = options;
  const [credentials, issuer] = await Promise.all([roleCredentials(kms), createTokenIssuer()]);
  const operator = kmsClient(kms, kms.operator);
  return { ...options, operator, role: kmsClient(kms, credentials), roleCredentials: credentials, issuer };
}

/** The configuration of an enclave, as the exact bytes that are measured. No operation answers the parent in plain. */
export function configurationOf(
  { kms, issuer }: Pick<Cloud, "kms" | "issuer">,
  keyArns: readonly string[],
  transport: "tunnel" | "gateway" = "tunnel",
): Uint8Array {
  const { region, caCertificate } = kms;
  const keys = keyArns.map((arn) => ({ arn }));
  const document = {
    version: 1,
    kms: { region, keys, transport, roots: [caCertificate] },
    messages: { refusalSeconds: 0 }, // the demo asks for the same message again and again, of parents that differ
    channels: { tls: { certificate: "generated" } },
    authorization: { issuers: [issuer.configuration], schema: SCHEMA, policies: POLICIES },
  };
  return utf8(`${JSON.stringify(document, null, 2)}\n`);
}

export async function makeKeys(cloud: Cloud): Promise<Keys> {
  const [main, gateway, parents] = await Promise.all([
    makeAttestedKey(cloud, "tunnel"),
    makeAttestedKey(cloud, "gateway"),
    createKey(cloud, parentsOwnKeyPolicy(cloud.kms)),
  ]);
  return { main, gateway, parents };
}

/**
 * Makes a key that nobody can use yet: its policy has to name measurements, PCR16 among them, and the configuration
 * behind PCR16 has to name the key.
 */
export async function makeAttestedKey(cloud: Cloud, transport: "tunnel" | "gateway"): Promise<AttestedKey> {
  const arn = await createKey(cloud, unusedKeyPolicy(cloud.kms));
  const configuration = configurationOf(cloud, [arn], transport);
  const pcr16 = toHex(await pcr16OfConfiguration(configuration));
  return { arn, configuration, pcrs: { ...cloud.images.referencePcrs, 16: pcr16 } };
}

async function createKey({ operator }: Cloud, policy: string): Promise<string> {
  const { KeyMetadata } = await operator.send(new CreateKeyCommand({ Policy: policy }));
  if (KeyMetadata?.Arn === undefined) throw new TypeError("createKey: KMS answers with the key's ARN");
  return KeyMetadata.Arn;
}

/** Opens a key to exactly one image with exactly one configuration. */
export async function openKey({ kms, operator }: Cloud, { arn, pcrs }: AttestedKey): Promise<void> {
  const Policy = attestedKeyPolicy(kms, pcrs, TENANT);
  await operator.send(new PutKeyPolicyCommand({ KeyId: arn, PolicyName: "default", Policy }));
}

/** NSM, enclave and parent of the enclave as it should be: a process each. */
export async function bootMain(
  { stack, kms, images }: Cloud,
  { configuration }: AttestedKey,
  parent?: ParentListen,
): Promise<Running> {
  await stack.startNsm("main", kms, { image: images.original });
  const enclave = await stack.startEnclave("main", configuration);
  return { enclave, parent: await stack.startParent("main", kms, parent) };
}

/** An enclave that differs from main in one thing, with an honest parent within this process. */
export interface Variant {
  readonly url: string;
  close(): Promise<void>;
}

export async function bootVariant(
  cloud: Cloud,
  name: string,
  options: { readonly image: ImageOnDisk; readonly debug?: boolean; readonly configuration: Uint8Array },
): Promise<Variant> {
  const { image, debug = false, configuration } = options;
  const { stack, kms } = cloud;
  await stack.startNsm(name, kms, { image, debug });
  await stack.startEnclave(name, configuration);
  return honestParent(cloud, name);
}

async function honestParent({ stack, kms, roleCredentials }: Cloud, name: string): Promise<Parent> {
  const { enclave, tunnel, services } = stack.sockets(name);
  const target = { host: "127.0.0.1", port: kms.port };
  return createParent({
    enclaves: [{ name: "enclave", address: enclave }],
    services,
    listen: { host: "127.0.0.1", port: 0 },
    tunnel: { listen: tunnel, target, allow: [target], maxConnections: 16 },
    credentials: async () => roleCredentials,
  });
}

/** An enclave that reaches KMS through the gateway; who its parent is, the refusals decide. */
export async function bootGatewayEnclave({ stack, kms, images }: Cloud, key: AttestedKey): Promise<void> {
  await stack.startNsm("gateway", kms, { image: images.original });
  await stack.startEnclave("gateway", key.configuration);
}
