/**
 * Whole enclaves that open and make messages, over the simulated KMS: two keys that only they may use, callers of several
 * tenants, clients for each channel, and the calls that they made.
 */
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import type { AwsEsdkKMSInterface } from "@aws-crypto/client-node";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { onTestFinished } from "vitest";
import type { ConnectOptions } from "../../../client/connect.js";
import { connectEnclave } from "../../../client/connect.js";
import type { Enclave } from "../../../client/enclave.js";
import type { TlsEnclave } from "../../../client/node/index.js";
import { connectEnclaveTls } from "../../../client/node/index.js";
import { pcr16OfConfiguration } from "../../../shared/attestation/pcr.js";
import { toHex, utf8 } from "../../../shared/bytes.js";
import { SUITE } from "../esdk.js";
import type { Json } from "../fakes.js";
import { fetchTo } from "../sealing.js";
import type { Kms, Stack, StackChanges } from "../stack.js";
import { ALIAS, CONTEXT, startKmsForTest, startStack } from "../stack.js";

export interface World extends Kms {
  readonly otherArn: string;
  /** A key that no configuration names, and that anybody of the account may use. */
  readonly foreignArn: string;
  /** The calls of enclaves so far, by operation. */
  calls(): string[];
  /** The policy of the first key: what the enclave may do with it. */
  permit(actions: readonly string[]): Promise<void>;
}

const ATTESTED = ["kms:Decrypt", "kms:GenerateDataKey"];

export async function startWorld(): Promise<World> {
  const kms = await startKmsForTest();
  const { operator, simulation, keyArn } = kms;
  const newKey = async (): Promise<string> => (await operator.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
  const [otherArn, foreignArn] = [await newKey(), await newKey()];
  const put = async (KeyId: string, actions: readonly string[]): Promise<void> => {
    const Policy = policyOf(kms, actions);
    await operator.send(new PutKeyPolicyCommand({ KeyId, Policy }));
  };
  for (const arn of [keyArn, otherArn]) await put(arn, ATTESTED);
  return {
    ...{ ...kms, otherArn, foreignArn },
    calls: () =>
      simulation.kms.auditLog.records
        .filter(({ userIdentity }) => userIdentity.type === "AssumedRole")
        .map(({ eventName }) => eventName),
    permit: (actions) => put(keyArn, actions),
  };
}

/** The role may encrypt under the key as it is, and do the rest from within the enclave. */
function policyOf({ simulation: { roleArn, accountId, pcrs } }: Kms, attested: readonly string[]): string {
  const role = { Effect: "Allow", Principal: { AWS: roleArn }, Resource: "*" };
  const Condition = { StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": pcrs[0] } };
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${accountId}:root` }, Action: "kms:*", Resource: "*" },
      { ...role, Action: "kms:Encrypt" },
      ...(attested.length > 0 ? [{ ...role, Action: attested, Condition }] : []),
    ],
  });
}

/** An enclave for both keys, over TLS as well. */
export function startMessages(world: World, messages: Json = {}, changes: StackChanges = {}): Promise<Stack> {
  const keys = [
    { arn: world.keyArn, aliases: [ALIAS] },
    { arn: world.otherArn, aliases: [] },
  ];
  return startStack(world, {
    tls: true,
    ...changes,
    kms: { keys, ...changes.kms },
    configuration: { messages, ...changes.configuration }, // a change of `messages` stands in the place of these
  });
}

export const cached = (changes: Json = {}): Json => ({ dataKeys: { kind: "cached", maxAgeSeconds: 30, ...changes } });

/** A request of the plain channel by the bearer of `token`. */
export async function ask(stack: Stack, path: string, { body, token }: { body: object; token?: string }) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await stack.request("POST", path, { body: utf8(JSON.stringify(body)), headers });
  return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString()) as Json };
}

async function connectOptions({ simulation }: World, stack: Stack, token: string): Promise<ConnectOptions> {
  const { pcrs, trustAnchor } = simulation;
  const image = { 0: pcrs[0] ?? "", 1: pcrs[1] ?? "", 2: pcrs[2] ?? "" };
  return {
    ...{ trustAnchor, token, retryDelayMs: 1 },
    policy: {
      pcrs: [{ ...image, 16: toHex(await pcr16OfConfiguration(stack.configuration)) }],
      configuration: "pinned",
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
    },
  };
}

export async function overSealed(world: World, stack: Stack, token = world.token): Promise<Enclave> {
  const enclave = await connectEnclave("http://parent.test", {
    ...(await connectOptions(world, stack, token)),
    fetch: fetchTo(stack),
  });
  onTestFinished(() => enclave.close());
  return enclave;
}

export async function overTls(world: World, stack: Stack, token = world.token): Promise<TlsEnclave> {
  const enclave = await connectEnclaveTls(await passThrough(stack), await connectOptions(world, stack, token));
  onTestFinished(() => enclave.close());
  return enclave;
}

/** The parent's pass-through: bytes from a TCP port to the enclave's TLS address, and back. */
async function passThrough({ tlsAddress }: Stack): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((outer) => {
    const inner = connect(tlsAddress.slice("unix:".length));
    for (const socket of [outer, inner]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket));
    }
    outer.on("close", () => inner.destroy());
    inner.on("close", () => outer.destroy());
    outer.pipe(inner).pipe(outer);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return `https://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

export interface SdkOptions {
  readonly keyIds?: readonly string[];
  readonly context?: Readonly<Record<string, string>>;
  readonly suite?: number;
  readonly frameLength?: number;
}

const COMMITTED: ReadonlySet<number> = new Set([SUITE.committed, SUITE.committedSigned]);

const operatorKms = ({ operator }: Kms): AwsEsdkKMSInterface => ({
  generateDataKey: (request) => operator.send(new GenerateDataKeyCommand(request)),
  encrypt: (request) => operator.send(new EncryptCommand(request)),
  decrypt: (request) => operator.send(new DecryptCommand(request)),
});

/** A message by the operator, as any user of the SDK would make it. */
export async function sdkMessage(world: World, plaintext: Uint8Array, options: SdkOptions = {}): Promise<Uint8Array> {
  const { keyIds = [world.keyArn], context = CONTEXT, suite = SUITE.committed, frameLength = 64 } = options;
  const [generatorKeyId = world.keyArn, ...more] = keyIds;
  const commitmentPolicy = COMMITTED.has(suite)
    ? CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    : CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT;
  const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 10 });
  const keyring = new KmsKeyringNode({ clientProvider: () => operatorKms(world), generatorKeyId, keyIds: more });
  const settings = { encryptionContext: context, suiteId: suite, frameLength };
  return new Uint8Array((await sdk.encrypt(keyring, plaintext, settings)).result);
}

/** What the operator finds in a message that an enclave made, with one of its keys. */
export async function sdkOpened(world: World, message: Uint8Array, keyArn = world.keyArn) {
  const sdk = buildClient({
    commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
    maxEncryptedDataKeys: 10,
  });
  const keyring = new KmsKeyringNode({ clientProvider: () => operatorKms(world), keyIds: [keyArn] });
  const { plaintext, messageHeader } = await sdk.decrypt(keyring, message);
  return { plaintext: new Uint8Array(plaintext), encryptionContext: { ...messageHeader.encryptionContext } };
}
