/**
 * AWS Encryption SDK messages of a gibibyte through attested TLS: encrypted, decrypted and re-encrypted by an enclave process,
 * behind a parent process, for a client that reads as fast as it can. How much memory the enclave takes beyond what it takes at
 * rest does not depend on their size, and has a bound.
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TlsEnclave } from "../client/node/index.js";
import { connectEnclaveTls } from "../client/node/index.js";
import { connectOptions } from "./channel-clients.js";
import { forgetPeak, peakMebibytes, residentMebibytes } from "./memory.js";
import { startPlatform } from "./stack.js";
import type { Row } from "./table.js";

const MEBIBYTE = 1_024 ** 2;
const CHUNK_BYTES = 64 * 1_024;
const LIMIT_MEBIBYTES = 64;
const CONTEXT = { tenant: "bench" };

type Bytes = AsyncIterable<Uint8Array>;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const platform = await startPlatform({ channels: { tls: { certificate: "generated" } } });
  const folder = await mkdtemp(join(tmpdir(), "nd-bench-streams-"));
  try {
    const child = await platform.startEnclave();
    const url = `https://${platform.parent.ready.tls}`;
    const enclave = await connectEnclaveTls(url, connectOptions(platform, child));
    const rows = await measure(enclave, { pid: child.pid, folder, mebibytes: smoke ? 16 : 1_024 });
    enclave.close();
    return rows;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await platform.close();
  }
}

interface Stage {
  readonly pid: number;
  readonly folder: string;
  readonly mebibytes: number;
}

async function measure(enclave: TlsEnclave, { pid, folder, mebibytes }: Stage): Promise<Row[]> {
  const chunk = randomBytes(CHUNK_BYTES);
  const expected = await digestOf(repeated(chunk, mebibytes));
  const [made, remade] = [join(folder, "made"), join(folder, "remade")];
  const options = { encryptionContext: CONTEXT };
  const restMebibytes = await residentMebibytes(pid);
  const timed = async (operation: string, call: () => Promise<void>): Promise<Row[]> => {
    await forgetPeak(pid);
    const startedAt = performance.now();
    await call();
    const seconds = (performance.now() - startedAt) / 1_000;
    const over = (await peakMebibytes(pid)) - restMebibytes;
    const name = `${operation} ${mebibytes} MiB over attested TLS`;
    return [
      { name, median: mebibytes / seconds, unit: "MiB/s" },
      memoryRow(`${name}: enclave's memory over rest`, over),
    ];
  };
  const decrypt = (file: string) => async (): Promise<void> => {
    const { plaintext } = await enclave.decryptMessageStream(createReadStream(file), options);
    if ((await digestOf(plaintext)) !== expected) throw new Error("the plaintext is not what was encrypted");
  };
  return [
    { name: "enclave process: memory at rest", median: restMebibytes, unit: "MiB" },
    ...(await timed("encrypt", async () => {
      const { message } = await enclave.encryptMessageStream(repeated(chunk, mebibytes), options);
      await pipeline(Readable.from(message), createWriteStream(made));
    })),
    ...(await timed("decrypt", decrypt(made))),
    ...(await timed("re-encrypt", async () => {
      const { message } = await enclave.reEncryptMessageStream(createReadStream(made), options);
      await pipeline(Readable.from(message), createWriteStream(remade));
    })),
    ...(await timed("decrypt re-encrypted", decrypt(remade))),
  ];
}

/** More than one means that it is less than its limit. */
const memoryRow = (name: string, overMebibytes: number): Row => ({
  ...{ name, median: overMebibytes, unit: "MiB", ratio: LIMIT_MEBIBYTES / Math.max(overMebibytes, 1), bound: 1 },
  peer: `${LIMIT_MEBIBYTES} MiB`,
});

async function* repeated(chunk: Uint8Array, mebibytes: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < mebibytes * MEBIBYTE; sent += chunk.length) yield chunk;
}

async function digestOf(parts: Bytes): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of parts) hash.update(part);
  return hash.digest("hex");
}
