/** The first half of the demo: from nothing to a secret that was decrypted inside an enclave. */
import { createHash, randomBytes } from "node:crypto";
import { EncryptCommand } from "@aws-sdk/client-kms";
import { connectEnclave } from "../../client/connect.js";
import type { Enclave } from "../../client/enclave.js";
import { connectEnclaveTls } from "../../client/node/index.js";
import type { EnclavePcrs, EnclavePolicy } from "../../client/policy.js";
import { equalBytes, utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { generateProofKey, thumbprintOf } from "../../shared/proof-of-possession.js";
import type { AuditRecord } from "../../simulator/cloudtrail/records.js";
import type { LocalStack } from "../local-stack.js";
import type { Evidence } from "./evidence.js";
import { writeImages } from "./image.js";
import { encryptMessage } from "./message.js";
import type { Report, Step } from "./report.js";
import type { Cloud, Keys, Running } from "./stage.js";
import { bootMain, enterCloud, makeKeys, openKey, TENANT } from "./stage.js";

export const SECRET = "4111 1111 1111 1111 is a card number that only the enclave sees";
/** What the secret is bound to: whose it is, which the key policy demands, and which record it is. */
export const CONTEXT = { tenant: TENANT, record: "42" };

/** Who calls: a token for a tenant, bound to a key that only this client has. */
export interface Caller {
  readonly token: string;
  readonly proofKey: CryptoKeyPair;
}

/** What the first half leaves behind for the second one. */
export interface Stage {
  readonly cloud: Cloud;
  readonly keys: Keys;
  readonly main: Running;
  readonly ciphertext: Uint8Array;
  readonly caller: Caller;
  readonly enclave: Enclave;
}

/** What a client demands of the enclave; PCR16 fixes the configuration too. */
export const policyFor = (pcrs: EnclavePcrs, overrides: Partial<EnclavePolicy> = {}): EnclavePolicy => ({
  pcrs: [pcrs],
  configuration: "pinned",
  freshness: { kind: "within", seconds: 60, skewSeconds: 5 },
  debug: "reject",
  ...overrides,
});

/** A caller of `tenant`, with a token bound to a new key. */
export async function callerOf({ issuer }: Pick<Cloud, "issuer">, subject: string, tenant: string): Promise<Caller> {
  const proofKey = await generateProofKey();
  const boundTo = await thumbprintOf(proofKey.publicKey);
  return { proofKey, token: await issuer.issue({ subject, claims: { tenant }, boundTo }) };
}

/** Runs an act as a step: its time is measured, and what it says that the parties saw is reported. */
async function step<T>(
  report: Report,
  title: Pick<Step, "id" | "title">,
  act: () => Promise<{ result: T; saw: () => Step["saw"] | Promise<Step["saw"]> }>,
): Promise<T> {
  const begin = performance.now();
  const { result, saw } = await act();
  const elapsedMs = performance.now() - begin; // before the records are waited for
  report.step({ ...title, elapsedMs, saw: await saw() });
  return result;
}

export async function setTheStage(stack: LocalStack, evidence: Evidence, report: Report): Promise<Stage> {
  const cloud = await startCloud(stack, evidence, report);
  const keys = await createKeys(cloud, report);
  const main = await step(
    report,
    { id: "boot", title: "Boot the enclave: NSM, enclave and parent, a process each" },
    async () => {
      const result = await bootMain(cloud, keys.main);
      const saw = {
        enclave: `measured its configuration into PCR16 and locked it: ${short(result.enclave.configurationPcr)}`,
        parent: `HTTP API at ${result.parent.url}`,
      };
      return { result, saw: () => saw };
    },
  );
  const ciphertext = await encryptSecret(cloud, keys, report);
  const caller = await takeToken(cloud, report);
  const enclave = await verifyEnclave({ cloud, keys, main, caller }, report);
  const stage = { cloud, keys, main, ciphertext, caller, enclave };
  await decryptSecret(stage, report);
  await makeDataKey(stage, report);
  await streamMessage(stage, report);
  return stage;
}

function startCloud(stack: LocalStack, evidence: Evidence, report: Report): Promise<Cloud> {
  return step(report, { id: "aws", title: "Start a simulated AWS KMS and measure the enclave's image" }, async () => {
    const [images, kms] = await Promise.all([writeImages(stack.folder), stack.startKms()]);
    const { 0: pcr0, 1: pcr1, 2: pcr2 } = images.referencePcrs;
    const saw = {
      kms: `${kms.endpoint}, under a CA of its own`,
      client: `image of ${images.fileCount} files: PCR0 ${short(pcr0)}  PCR1 ${short(pcr1)}  PCR2 ${short(pcr2)}`,
    };
    return { result: await enterCloud({ stack, evidence, images, kms }), saw: () => saw };
  });
}

function createKeys(cloud: Cloud, report: Report): Promise<Keys> {
  return step(report, { id: "key", title: "Create a KMS key that only this enclave can use" }, async () => {
    const keys = await makeKeys(cloud);
    await Promise.all([openKey(cloud, keys.main), openKey(cloud, keys.gateway)]);
    const saw = {
      kms: `${keys.main.arn}\npolicy: Decrypt only with PCR0, 1, 2 and 16 as measured, and tenant=${TENANT} in the encryption context`,
    };
    return { result: keys, saw: () => saw };
  });
}

function encryptSecret({ operator, evidence }: Cloud, keys: Keys, report: Report): Promise<Uint8Array> {
  return step(report, { id: "encrypt", title: "Encrypt a secret with the plain AWS SDK" }, async () => {
    const since = evidence.mark();
    const { CiphertextBlob } = await operator.send(
      new EncryptCommand({ KeyId: keys.main.arn, Plaintext: utf8(SECRET), EncryptionContext: CONTEXT }),
    );
    if (CiphertextBlob === undefined) throw new TypeError("encryptSecret: KMS answers with a ciphertext");
    const saw = async () => ({
      client: `"${SECRET}" → ${CiphertextBlob.length} bytes of ciphertext, bound to ${contextText(CONTEXT)}`,
      kms: describeCall(await since.call(({ eventName }) => eventName === "Encrypt")),
    });
    return { result: CiphertextBlob, saw };
  });
}

function takeToken(cloud: Cloud, report: Report): Promise<Caller> {
  return step(report, { id: "token", title: "Get a token that is bound to a key of the client's own" }, async () => {
    const caller = await callerOf(cloud, "alice", TENANT);
    const saw = { client: `a token for alice, tenant=${TENANT}, from ${cloud.issuer.issuer}` };
    return { result: caller, saw: () => saw };
  });
}

function verifyEnclave(
  { cloud, keys, main, caller }: Pick<Stage, "cloud" | "keys" | "main" | "caller">,
  report: Report,
): Promise<Enclave> {
  return step(report, { id: "verify", title: "Verify and appraise the enclave, and the key to seal to" }, async () => {
    const since = cloud.evidence.mark();
    const { trustAnchor } = cloud.kms;
    const options = { trustAnchor, policy: policyFor(keys.main.pcrs), ...caller };
    const enclave = await connectEnclave(main.parent.url, options);
    const { moduleId, rootToLeaf } = enclave.attestation.attestation;
    const saw = async () => ({
      client: `module ${moduleId}, ${rootToLeaf.length} certificates under the simulated root, fresh nonce, PCR0, 1, 2 and 16 as expected;\nthe document binds the HPKE key that requests are sealed to`,
      parent: describeRequest(await since.line("main parent", ({ route }) => route === "/attestation")),
    });
    return { result: enclave, saw };
  });
}

async function decryptSecret({ cloud, keys, ciphertext, enclave }: Stage, report: Report): Promise<void> {
  await step(report, { id: "decrypt", title: "Decrypt it inside the enclave" }, async () => {
    const since = cloud.evidence.mark();
    const keyId = keys.main.arn;
    const answer = await enclave.decrypt({ ciphertext, keyId, encryptionContext: CONTEXT });
    if (!equalBytes(answer.plaintext, utf8(SECRET)) || answer.keyId !== keyId) {
      throw new ServiceError("ERR_DECRYPTION_FAILED", "the enclave answered with another plaintext than the secret");
    }
    const saw = async () => ({
      client: `"${new TextDecoder().decode(answer.plaintext)}"`,
      parent: `${describeRequest(await since.line("main parent", ({ route }) => route === SEALED_ROUTE))}; a request and an answer that it cannot read, and TLS to KMS`,
      kms: describeCall(await since.call(({ eventName }) => eventName === "Decrypt")),
      enclave: `${describeDecision(await since.line("main enclave", ({ decision }) => decision !== undefined))}\n${describeServed(await since.line("main enclave", ({ operation }) => operation === "decrypt"))}`,
    });
    return { result: undefined, saw };
  });
}

async function makeDataKey({ cloud, keys, enclave }: Stage, report: Report): Promise<void> {
  await step(report, { id: "data-key", title: "Make a data key and random bytes the same way" }, async () => {
    const since = cloud.evidence.mark();
    const [dataKey, random] = await Promise.all([
      enclave.generateDataKey({ keyId: keys.main.arn, keySpec: "AES_256", encryptionContext: CONTEXT }),
      enclave.random(32),
    ]);
    const { ciphertext } = dataKey;
    const opened = await enclave.decrypt({ ciphertext, keyId: keys.main.arn, encryptionContext: CONTEXT });
    if (!equalBytes(opened.plaintext, dataKey.plaintext)) {
      throw new ServiceError("ERR_DECRYPTION_FAILED", "the data key's ciphertext opens to another key");
    }
    const saw = async () => ({
      client: `a key of ${dataKey.plaintext.length * 8} bits with its ciphertext of ${dataKey.ciphertext.length} bytes, ${random.length} random bytes`,
      kms: describeCall(await since.call(({ eventName }) => eventName === "GenerateDataKey")),
    });
    return { result: undefined, saw };
  });
}

/** So much that it does not fit into one request, and little enough for a demo. */
/** The parent's route for sealed requests to the enclave that attested. */
const SEALED_ROUTE = "/enclaves/:enclave/v1/sealed";

const STREAM_BYTES = 8 * 1024 * 1024;

async function streamMessage({ cloud, keys, main, caller }: Stage, report: Report): Promise<void> {
  await step(
    report,
    { id: "stream", title: "Stream a large message through TLS that ends in the enclave" },
    async () => {
      const since = cloud.evidence.mark();
      const plaintext = randomBytes(STREAM_BYTES);
      const message = await encryptMessage(cloud, { keyArn: keys.main.arn, encryptionContext: CONTEXT }, plaintext);
      const options = { trustAnchor: cloud.kms.trustAnchor, policy: policyFor(keys.main.pcrs), ...caller };
      const enclave = await connectEnclaveTls(`https://${main.parent.tls}`, options);
      const opened = await enclave.decryptMessageStream(inParts(message), { encryptionContext: CONTEXT });
      const digest = createHash("sha256");
      for await (const part of opened.plaintext) digest.update(part);
      enclave.close();
      if (!digest.digest().equals(createHash("sha256").update(plaintext).digest())) {
        throw new ServiceError("ERR_DECRYPTION_FAILED", "the message opened to another plaintext");
      }
      const saw = async () => ({
        client: `an AWS Encryption SDK message of ${message.length} bytes opened to ${plaintext.length} bytes, each frame authenticated before it left the enclave`,
        kms: describeCall(await since.call(({ eventName }) => eventName === "Decrypt")),
      });
      return { result: undefined, saw };
    },
  );
}

const PART_BYTES = 64 * 1024;

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PART_BYTES) yield bytes.slice(at, at + PART_BYTES);
}

export const short = (hex: string): string => `${hex.slice(0, 12)}…`;

const contextText = (context: object): string =>
  Object.entries(context)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");

/** A CloudTrail record in one line: who called what, with which context, attested by which image. */
function describeCall({
  eventName,
  userIdentity,
  requestParameters,
  additionalEventData,
  errorCode,
}: AuditRecord): string {
  const caller = String(userIdentity.arn).replace(/^.*:/, "");
  const context = requestParameters?.encryptionContext;
  const image = additionalEventData?.recipient?.attestationDocumentEnclaveImageDigest;
  return [
    `${eventName} by ${caller}`,
    typeof context === "object" && context !== null ? `, ${contextText(context)}` : "",
    image === undefined ? ", not attested" : `, attested: PCR0 ${short(image)}`,
    errorCode === undefined ? "" : `: ${errorCode}`,
  ].join("");
}

const describeRequest = ({ method, route, outcome }: Readonly<Record<string, unknown>>): string =>
  `relayed ${method} ${route}: ${outcome}`;

const describeDecision = ({ principal, decision, policyIds }: Readonly<Record<string, unknown>>): string =>
  `${String(principal)}: ${String(decision)}, by policy ${String(policyIds)}`;

const describeServed = ({ operation, keyArn, elapsedMs }: Readonly<Record<string, unknown>>): string =>
  `${operation} with ${String(keyArn).replace(/^.*:/, "")}, the plaintext from KMS sealed to its attested key, in ${elapsedMs} ms`;
