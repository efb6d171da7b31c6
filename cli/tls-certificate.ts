/**
 * The certificate that a parent offers its enclave for TLS, from two files: the chain in PEM, and the private key as AWS
 * KMS encrypted it. They are read at every request, so whatever renews a certificate has only to write files.
 */
import { resolve } from "node:path";
import { fromBase64 } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import type { Io } from "./command.js";
import { asText, readInput } from "./input.js";

/** An answer of the parent's services, which the enclave bounds at 64 KiB, holds both with room to spare. */
const MAX_CHAIN_BYTES = 32 * 1024;
/** In base64, with line feeds; KMS makes no ciphertext over 6144 bytes. */
const MAX_KEY_BYTES = 12 * 1024;

export interface TlsCertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Reads both files. The chain's certificates are told apart, and not looked into: the enclave does that.
 * @throws CommandFailure (a file cannot be read); ServiceError ERR_MESSAGE_TOO_LARGE, ERR_MESSAGE_MALFORMED.
 */
export async function readTlsCertificate({ certificate, key }: TlsCertificateFiles, io: Io) {
  const read = (file: string, maxBytes: number) => readInput(resolve(io.cwd, file), io, maxBytes);
  const [chain, ciphertext] = await Promise.all([read(certificate, MAX_CHAIN_BYTES), read(key, MAX_KEY_BYTES)]);
  return { chain: splitPem(chain), privateKeyCiphertext: decodeCiphertext(ciphertext) };
}

function splitPem(bytes: Uint8Array): string[] {
  const text = new TextDecoder().decode(bytes);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (blocks === null) throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected certificates in PEM");
  return blocks.map((block) => `${block}\n`);
}

/** A ciphertext is binary, and never all text; what is all text is its base64. */
function decodeCiphertext(input: Uint8Array): Uint8Array {
  const text = asText(input);
  if (text === undefined) return input;
  const bytes = fromBase64(text.replace(/\s+/g, ""));
  if (bytes === undefined)
    throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected a ciphertext, binary or in base64");
  return bytes;
}
