/**
 * A certificate of the user's own, over the whole product: KMS releases its private key to the attested enclave alone,
 * clients of every kind are shown it, and a renewal takes its place while the enclave runs.
 */
import { once } from "node:events";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import type { KMSClient } from "@aws-sdk/client-kms";
import { CreateKeyCommand, DecryptCommand, EncryptCommand, PutKeyPolicyCommand } from "@aws-sdk/client-kms";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectEnclaveTls } from "../../client/node/index.js";
import { createEnclave } from "../../enclave/index.js";
import type { Parent, TlsCertificateOffer } from "../../parent/index.js";
import { createParent } from "../../parent/index.js";
import { pcr16OfConfiguration } from "../../shared/attestation/pcr.js";
import { toBase64, toHex, utf8 } from "../../shared/bytes.js";
import type { Simulation } from "../../simulator/index.js";
import { startSimulation } from "../../simulator/index.js";
import type { Issued } from "../enclave/channels/web-pki.js";
import { DAY, issueCa, issueServer, SERVER_NAMES } from "../enclave/channels/web-pki.js";
import { TestClock } from "../enclave/fakes.js";
import { authorizationFor, issuerForTest } from "../support/authorization.js";
import { testFolder } from "../support/folder.js";
import { kmsClient } from "../support/simulated-kms.js";

const CONTEXT = { purpose: "tls" };
const RENEWAL_CHECK_SECONDS = 60;
/** Certificates of today: the enclave judges them by the NSM's time. */
const NOW_MS = Date.now();
const VALID = { notBefore: new Date(NOW_MS - DAY), notAfter: new Date(NOW_MS + 30 * DAY) };

interface Provided {
  readonly simulation: Simulation;
  readonly parent: Parent;
  readonly pcrs: { 0: string; 1: string; 2: string; 16: string };
  readonly token: string;
  readonly ca: Issued;
  readonly server: Issued;
  readonly role: KMSClient;
  readonly keyId: string;
  readonly privateKeyCiphertext: Uint8Array;
  /** What the parent offers from now on. */
  offer(renewal: Issued): Promise<void>;
  /** Lets the time to the next renewal check pass. */
  passRenewalCheck(): void;
}

/** An enclave with a provided certificate, whose private key a KMS policy releases to this image and configuration alone. */
async function startProvided(): Promise<Provided> {
  const { issuer, token } = await issuerForTest();
  const simulation = await startSimulation();
  onTestFinished(() => simulation.close());
  const { kms, region, nsm, roleCredentials } = simulation;
  const clientAs = (credentials: Parameters<typeof kmsClient>[2]): KMSClient => {
    const client = kmsClient(kms, () => new Date(), credentials);
    onTestFinished(() => client.destroy());
    return client;
  };
  const operator = clientAs(simulation.operator);
  const keyId = (await operator.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? "";
  const encrypt = async (Plaintext: Uint8Array) => {
    const answer = await operator.send(new EncryptCommand({ KeyId: keyId, Plaintext, EncryptionContext: CONTEXT }));
    return answer.CiphertextBlob ?? new Uint8Array();
  };
  const ca = await issueCa(`own CA ${crypto.randomUUID()}`, undefined, VALID);
  const server = await issueServer(ca, VALID);
  const privateKeyCiphertext = await encrypt(server.pkcs8);
  const privateKey = { ciphertext: toBase64(privateKeyCiphertext), keyId, encryptionContext: CONTEXT };
  const tls = {
    ...{ certificate: "provided", chain: [server.pem], privateKey, issuers: [ca.pem] },
    renewalCheckSeconds: RENEWAL_CHECK_SECONDS,
  };
  const configuration = utf8(
    JSON.stringify({
      version: 1,
      kms: { region, keys: [{ arn: keyId }], transport: "tunnel", roots: [kms.caCertificate] },
      channels: { tls },
      authorization: authorizationFor(issuer),
    }),
  );
  const [pcr0 = "", pcr1 = "", pcr2 = ""] = [0, 1, 2].map((index) => simulation.pcrs[index]);
  const pcrs = { 0: pcr0, 1: pcr1, 2: pcr2, 16: toHex(await pcr16OfConfiguration(configuration)) };
  await operator.send(new PutKeyPolicyCommand({ KeyId: keyId, Policy: policyOf(simulation, pcrs) }));
  const folder = testFolder();
  const address = (name: string): string => `unix:${join(folder, name)}`;
  const clock = new TestClock();
  clock.now = () => new Date();
  const target = { host: "127.0.0.1", port: kms.port };
  let offered: TlsCertificateOffer | undefined;
  const parent = await createParent({
    enclaves: [{ name: "enclave", address: address("enclave"), tls: address("tls") }],
    services: address("services"),
    listen: { host: "127.0.0.1", port: 0 },
    tunnel: { listen: address("tunnel"), target, allow: [target], maxConnections: 16 },
    tls: { listen: { host: "127.0.0.1", port: 0 }, maxConnections: 16 },
    tlsCertificate: async () => offered,
    credentials: roleCredentials,
  });
  onTestFinished(() => parent.close());
  const addresses = {
    ...{ listen: address("enclave"), tls: address("tls") },
    ...{ tunnel: address("tunnel"), services: address("services") },
  };
  const enclave = await createEnclave({ configuration, nsm, addresses, clock });
  onTestFinished(() => enclave.close());
  return {
    ...{ simulation, parent, pcrs, token, ca, server, keyId, privateKeyCiphertext },
    role: clientAs(await roleCredentials()),
    offer: async ({ pem, pkcs8 }) => {
      offered = { chain: [pem], privateKeyCiphertext: await encrypt(pkcs8) };
    },
    passRenewalCheck: () => clock.advance(RENEWAL_CHECK_SECONDS * 1_000),
  };
}

function policyOf({ roleArn, accountId }: Simulation, pcrs: Readonly<Record<number, string>>): string {
  const measured = Object.entries(pcrs).map(([index, value]) => [`kms:RecipientAttestation:PCR${index}`, value]);
  const Condition = {
    StringEqualsIgnoreCase: Object.fromEntries(measured),
    StringEquals: { "kms:EncryptionContext:purpose": CONTEXT.purpose },
  };
  const root = { AWS: `arn:aws:iam::${accountId}:root` };
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: root, Action: "kms:*", Resource: "*" },
      { Effect: "Allow", Principal: { AWS: roleArn }, Action: "kms:Decrypt", Resource: "*", Condition },
    ],
  });
}

const portOf = ({ parent }: Provided): number => parent.tlsAddress?.port ?? 0;

/** What the enclave says of its certificate, through its parent. */
async function tlsHealth({ parent }: Provided): Promise<unknown> {
  const health = (await (await fetch(`${parent.url}/healthz`)).json()) as {
    enclaves: { enclave: { health: { tls: unknown } } };
  };
  return health.enclaves.enclave.health.tls;
}

const serves = (provided: Provided): Promise<void> =>
  expect.poll(() => tlsHealth(provided)).toEqual({ kind: "provided", status: "serving", notAfter: expect.any(String) });

/** The certificate that a client is shown which knows nothing of enclaves: it trusts the CA, and wants the name. */
async function shown(provided: Provided): Promise<string> {
  const options = { ca: provided.ca.pem, servername: SERVER_NAMES[0], minVersion: "TLSv1.3" } as const;
  const socket: TLSSocket = connect({ host: "127.0.0.1", port: portOf(provided), ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  const pem = socket.getPeerX509Certificate()?.toString() ?? "";
  socket.destroy();
  return pem;
}

const attestedClient = async (provided: Provided) => {
  const { simulation, pcrs, token } = provided;
  const enclave = await connectEnclaveTls(`https://127.0.0.1:${portOf(provided)}`, {
    trustAnchor: simulation.trustAnchor,
    policy: {
      pcrs: [pcrs],
      configuration: "pinned",
      freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
      debug: "reject",
    },
    ...{ token, maxRetries: 0 },
  });
  onTestFinished(() => enclave.close());
  return enclave;
};

describe("a provided certificate", () => {
  it("is shown to clients of every kind, with the private key that KMS has released to the enclave alone", async () => {
    const provided = await startProvided();
    await serves(provided);
    expect(await shown(provided)).toBe(provided.server.pem);
    expect(await (await attestedClient(provided)).random(8)).toHaveLength(8);
    const { role, keyId, privateKeyCiphertext: CiphertextBlob } = provided;
    const asked = role.send(new DecryptCommand({ CiphertextBlob, KeyId: keyId, EncryptionContext: CONTEXT }));
    await expect(asked).rejects.toMatchObject({ name: "AccessDeniedException" });
  });

  it("is replaced by its renewal without a restart, and clients go on", async () => {
    const provided = await startProvided();
    await serves(provided);
    const enclave = await attestedClient(provided);
    expect(await enclave.random(8)).toHaveLength(8);
    const renewed = await issueServer(provided.ca, VALID);
    await provided.offer(renewed);
    expect(await shown(provided)).toBe(provided.server.pem);
    provided.passRenewalCheck();
    await expect.poll(() => shown(provided)).toBe(renewed.pem);
    expect(await enclave.random(8)).toHaveLength(8);
    expect(await (await attestedClient(provided)).random(8)).toHaveLength(8);
  });
});
