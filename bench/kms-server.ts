/**
 * The simulated KMS by itself: requests a second of a raw client over connections that are kept, beside a bare `node:http`
 * server that reads the same requests and answers the same bytes; and what 100,000 keys take in memory.
 */
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { z } from "zod";
import { toBase64 } from "../shared/bytes.js";
import { decodeNsmResponse, encodeNsmRequest } from "../shared/nsm.js";
import { signRequest } from "../simulator/iam/sign-request.js";
import { bootSimulatedNsm } from "../simulator/nsm/simulated-nsm.js";
import { createNitroPki } from "../simulator/pki/nitro-pki.js";
import { exampleImage } from "../simulator/simulation.js";
import type { RawClient } from "./raw-client.js";
import { rawClient, rawRequest } from "./raw-client.js";
import type { Row } from "./table.js";
import { median } from "./table.js";
import { throughput } from "./throughput.js";

const CONCURRENT = 16;
const REGION = "us-east-1";
const KEY = { accessKeyId: "AKIABENCH", secretAccessKey: "bench" };

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const load = smoke ? { rounds: 2, calls: 300 } : { rounds: 7, calls: 6_000 };
  const { trustAnchor, document } = await attestation();
  const worker = new Worker(new URL("./kms-endpoint.js", import.meta.url), {
    workerData: { trustAnchor, operatorAccessKey: KEY },
  });
  try {
    const [ports] = await once(worker, "message");
    const servers = { kms: rawClient(ports.kms), bare: rawClient(ports.bare) };
    const rows: Row[] = [];
    for (const [name, request] of await requests(servers.kms, ports.kms, document)) {
      rows.push(await compare(name, request, servers, { ...load, tell: (body) => tell(worker, body) }));
    }
    servers.kms.close();
    servers.bare.close();
    return [...rows, keysInMemory(smoke ? 2_000 : 100_000)];
  } finally {
    await worker.terminate();
  }
}

/** What so many keys hold, made by CreateKey in a process of their own. */
function keysInMemory(count: number): Row {
  const script = fileURLToPath(new URL("./kms-keys.js", import.meta.url));
  const output = execFileSync(process.execPath, ["--expose-gc", script, String(count)], { encoding: "utf8" });
  const { bytesPerKey } = z.object({ bytesPerKey: z.number() }).parse(JSON.parse(output));
  return {
    name: `${count.toLocaleString("en-GB")} keys in memory`,
    median: (bytesPerKey * count) / 2 ** 20,
    unit: "MiB",
  };
}

/** A document of a simulated enclave. */
async function attestation() {
  const pki = await createNitroPki({ clock: () => new Date(), region: REGION });
  const nsm = await bootSimulatedNsm({
    pki,
    image: exampleImage(),
    instanceId: "i-0123456789abcdef0",
    roleArn: "arn:aws:iam::111122223333:role/bench",
    debug: false,
  });
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const request = encodeNsmRequest({ kind: "Attestation", userData: null, nonce: null, publicKey: spki });
  const response = decodeNsmResponse(await nsm.exchange(request));
  if (response.kind !== "Attestation") throw new Error(`the device answered ${response.kind}`);
  return { trustAnchor: pki.trustAnchor, document: response.document };
}

/** The requests that are measured, signed once: a signature is good for fifteen minutes. */
async function requests(kms: RawClient, port: number, document: Uint8Array): Promise<[string, Buffer][]> {
  const signed = (operation: string, input: object): Buffer => {
    const body = Buffer.from(JSON.stringify(input));
    const target = `TrentService.${operation}`;
    const now = new Date();
    return rawRequest(
      signRequest({ host: `127.0.0.1:${port}`, operation: target, body, region: REGION, service: "kms", now }, KEY),
      body,
    );
  };
  const ask = async (operation: string, input: object) => {
    const { status, body } = await kms.send(signed(operation, input));
    if (status !== 200) throw new Error(`${operation}: ${body}`);
    return JSON.parse(body.toString());
  };
  const { KeyMetadata } = await ask("CreateKey", {});
  const KeyId = KeyMetadata.Arn;
  const EncryptionContext = { tenant: "tenant-0042", purpose: "card" };
  const { CiphertextBlob } = await ask("Encrypt", {
    KeyId,
    Plaintext: toBase64(new Uint8Array(32)),
    EncryptionContext,
  });
  const decrypt = { KeyId, CiphertextBlob, EncryptionContext };
  const Recipient = { KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument: toBase64(document) };
  return [
    ["Decrypt", signed("Decrypt", decrypt)],
    ["GenerateDataKey", signed("GenerateDataKey", { KeyId, KeySpec: "AES_256", EncryptionContext })],
    ["attested Decrypt", signed("Decrypt", { ...decrypt, Recipient })],
  ];
}

async function tell(worker: Worker, body: Uint8Array): Promise<void> {
  worker.postMessage(body);
  await once(worker, "message");
}

interface Comparison {
  readonly rounds: number;
  readonly calls: number;
  readonly tell: (body: Uint8Array) => Promise<void>;
}

async function compare(
  name: string,
  request: Buffer,
  { kms, bare }: { readonly kms: RawClient; readonly bare: RawClient },
  { rounds, calls, tell: tellBare }: Comparison,
): Promise<Row> {
  const expected = await kms.send(request);
  if (expected.status !== 200) throw new Error(`${name}: ${expected.body}`);
  await tellBare(expected.body);
  const to = (client: RawClient) => async () => {
    const { status } = await client.send(request);
    if (status !== 200) throw new Error(`${name}: HTTP status ${status}`);
  };
  const figures: { kms: number; bare: number }[] = [];
  const load = { calls, concurrent: CONCURRENT };
  await throughput(to(kms), { calls: calls / 3, concurrent: CONCURRENT }); // of connections and the compiler
  await throughput(to(bare), { calls: calls / 3, concurrent: CONCURRENT });
  for (let round = 0; round < rounds; round++) {
    figures.push({ kms: await throughput(to(kms), load), bare: await throughput(to(bare), load) });
  }
  return {
    name: `${name}, raw HTTP, ${CONCURRENT} concurrent`,
    median: median(figures.map((figure) => figure.kms)),
    unit: "requests/s",
    ratio: median(figures.map((figure) => figure.kms / figure.bare)),
    peer: "a bare node:http server",
  };
}
