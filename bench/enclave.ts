/** The enclave process: from its start to the first attestation, and its memory at rest and after many requests. */
import { EncryptCommand } from "@aws-sdk/client-kms";
import { toBase64 } from "../shared/bytes.js";
import { residentMebibytes } from "./memory.js";
import type { Platform } from "./stack.js";
import { startPlatform } from "./stack.js";
import type { Row } from "./table.js";
import { median } from "./table.js";
import { throughput } from "./throughput.js";

const CONCURRENT = 16;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const platform = await startPlatform();
  try {
    const starts: number[] = [];
    for (let round = 0; round < (smoke ? 1 : 5); round++) starts.push(await timeToAttestation(platform));
    const startRow = { name: "enclave process: start to first attestation", median: median(starts), unit: "ms" };
    return [startRow, ...(await memory(platform, smoke ? [500] : [10_000, 30_000]))];
  } finally {
    await platform.close();
  }
}

async function timeToAttestation(platform: Platform): Promise<number> {
  const startedAt = performance.now();
  const enclave = await platform.startEnclave();
  await getAttestation(platform.url);
  const elapsed = performance.now() - startedAt;
  await enclave.stop();
  await platform.restartNsm(); // PCR16 is locked until the enclave boots afresh
  return elapsed;
}

async function getAttestation(url: string): Promise<void> {
  const response = await fetch(`${url}/attestation?nonce=${"A".repeat(43)}`);
  if (!response.ok) throw new Error(`attestation answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

/** Memory at rest and after each of so many requests in all, which grow; two of them tell whether it levels off. */
async function memory(platform: Platform, totals: readonly number[]): Promise<Row[]> {
  const enclave = await platform.startEnclave();
  await getAttestation(platform.url);
  const rows = [await memoryRow("at rest", enclave.pid)];
  const decrypt = await decryption(platform);
  const perSecond: number[] = [];
  let done = 0;
  for (const total of totals) {
    perSecond.push(await throughput(decrypt, { calls: total - done, concurrent: CONCURRENT }));
    done = total;
    rows.push(await memoryRow(`after ${total} decryptions`, enclave.pid));
  }
  await enclave.stop();
  const name = `POST /v1/decrypt through parent and enclave, ${CONCURRENT} concurrent`;
  return [...rows, { name, median: median(perSecond), unit: "requests/s" }];
}

/** One request to decrypt, over the parent's plain channel. */
async function decryption({ operator, keyArn, url, token }: Platform): Promise<() => Promise<void>> {
  const { CiphertextBlob } = await operator.send(
    new EncryptCommand({ KeyId: keyArn, Plaintext: new Uint8Array(32).fill(7) }),
  );
  const body = JSON.stringify({ ciphertext: toBase64(CiphertextBlob ?? new Uint8Array()), keyId: keyArn });
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  return async () => {
    const response = await fetch(`${url}/v1/decrypt`, { method: "POST", headers, body });
    if (!response.ok) throw new Error(`decrypt answered ${response.status}: ${await response.text()}`);
    await response.arrayBuffer();
  };
}

const memoryRow = async (when: string, pid: number): Promise<Row> => ({
  name: `enclave process: memory ${when}`,
  median: await residentMebibytes(pid),
  unit: "MiB",
});
