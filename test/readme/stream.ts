import { createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { TlsConnectOptions } from "nitro-decrypt/node";
import { connectEnclaveTls } from "nitro-decrypt/node";

/** An AWS Encryption SDK message of any size, through TLS that ends in the enclave. Where it rejects, what was written is not to be used. */
export async function decryptFile(url: string, options: TlsConnectOptions, from: string, to: string): Promise<void> {
  const enclave = await connectEnclaveTls(url, options);
  try {
    const { plaintext } = await enclave.decryptMessageStream(createReadStream(from));
    await pipeline(plaintext, createWriteStream(to));
  } finally {
    enclave.close();
  }
}
