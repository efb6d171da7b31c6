/** The files that commands read: `-` is stdin, sizes are bounded, and a file that is not there is said so plainly. */
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { concatBytes, fromBase64Url, fromHex } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import { attestationResponse, parseJson } from "../shared/wire.js";
import type { Io } from "./command.js";
import { CommandFailure } from "./command.js";

/** All bytes of `file`, relative to the working directory, or of stdin for `-`. */
export async function readInput(file: string, io: Io, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const name = file === "-" ? "stdin" : file;
  const stream = file === "-" ? io.stdin() : createReadStream(resolve(io.cwd, file), { highWaterMark: 1 << 20 });
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      size += chunk.length;
      if (size > maxBytes) throw new ServiceError("ERR_MESSAGE_TOO_LARGE", `${name} is larger than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof ServiceError ? error : unreadable(name, error);
  }
  if (size === 0) throw new ServiceError("ERR_MESSAGE_MALFORMED", `${name} is empty`);
  return concatBytes(...chunks);
}

const READ_FAILURES: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
};

function unreadable(name: string, cause: unknown): CommandFailure {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return new CommandFailure(2, `cannot read ${name}: ${READ_FAILURES[code] ?? code}`, { cause });
}

/**
 * The bytes that `input` stands for. Input that is all text is hexadecimal or base64 (either alphabet, padded or not), or
 * the JSON that an enclave's `GET /attestation` answers; everything else is taken as it is. None of the binary formats
 * that the commands read can be all text: each has a zero or a high byte among its first ones.
 */
export function decodeText(input: Uint8Array): Uint8Array {
  const text = asText(input);
  if (text === undefined) return input;
  const compact = text.replace(/\s+/g, "");
  if (compact.startsWith("{")) return decodeText(new TextEncoder().encode(documentOf(text)));
  const urlAlphabet = compact
    .replace(/={0,2}$/, "")
    .replace(/\+/g, "-")
    .replace(/\//g, "_");
  const bytes = fromHex(compact) ?? fromBase64Url(urlAlphabet);
  if (bytes !== undefined && bytes.length > 0) return bytes;
  throw new ServiceError(
    "ERR_MESSAGE_MALFORMED",
    "expected binary, base64 or hexadecimal input, got text that is none of these",
  );
}

/** Of the keys beside the document nothing is said here. */
const withDocument = z.looseObject({ document: attestationResponse.shape.document });

const documentOf = (json: string): string => parseJson(withDocument, json, "ERR_MESSAGE_MALFORMED").document;

/** Much more than any text that the commands read; JavaScript has no strings above 512 MiB. */
export const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/** The text of input that is printable ASCII throughout, and not too long to be text. */
export function asText(input: Uint8Array): string | undefined {
  if (input.length > MAX_TEXT_BYTES) return undefined;
  const isText = input.every((byte) => (byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d));
  return isText ? new TextDecoder().decode(input) : undefined;
}
