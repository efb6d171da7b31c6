import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { TlsConnectOptions } from "nitro-decrypt/node";
import { connectEnclaveTls } from "nitro-decrypt/node";

/** An AWS Encryption SDK message of any size, through TLS that ends in the enclave. It rejects unless all of it was authentic. */
export async function decryptFile(url: string, options: TlsConnectOptions, from: string, to: string): Promise<void> {
  const enclave = await connectEnclaveTls(url, options);
  const { plaintext } = await enclave.decryptMessageStream(createReadStream(from));
  await pipeline(plaintext, createWriteStream(to));
  enclave.close();
}
