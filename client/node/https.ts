/** HTTP/1.1 requests over an `AttestedAgent`: whole answers with bounds, and streams. */
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { concatBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { AttestedAgent } from "./attested-agent.js";

export interface AgentRequest {
  readonly agent: AttestedAgent;
  readonly method: "GET" | "POST";
  /** With a slash before it, and its query. */
  readonly path: string;
  /** Header fields by lower-case name. */
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

/**
 * Sends a request and returns the answer when its head is there.
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE (the connection failed), ERR_USER_DATA_MISMATCH (as `AttestedAgent`), and
 *   what a streamed body throws.
 */
export function send({ agent, method, path, fields = {}, body, signal }: AgentRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length = body instanceof Uint8Array ? { "content-length": body.length } : {};
    const headers = { ...fields, ...length, host: "enclave.invalid" };
    const request = httpsRequest({ agent, method, path, headers, signal });
    let answering = false;
    request.once("response", (response) => {
      answering = true;
      // Whoever has answered reads no more of the request.
      response.once("end", () => request.writableFinished || request.destroy());
      resolve(response);
    });
    request.on("error", (cause) => {
      // Once there is an answer, its reader hears of what happens.
      if (!answering) reject(failureOf(cause));
    });
    if (body === undefined || body instanceof Uint8Array) request.end(body);
    else
      pipeline(Readable.from(body, { objectMode: false }), request).catch((error: unknown) => reject(failureOf(error)));
  });
}

const failureOf = (cause: unknown): unknown =>
  cause instanceof ServiceError
    ? cause
    : new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "the connection failed", { cause });

/** The whole body of an answer. @throws ServiceError ERR_MESSAGE_TOO_LARGE, ERR_ENCLAVE_UNAVAILABLE. */
export async function readWhole(response: IncomingMessage, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of partsOf(response)) {
    length += part.length;
    // Leaving the loop destroys the response, and with it the connection: the rest is not read.
    if (length > maxBytes) {
      throw new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected an answer of at most ${maxBytes} bytes`);
    }
    parts.push(part);
  }
  return concatBytes(...parts);
}

/** The body of an answer as it comes. @throws ServiceError ERR_ENCLAVE_UNAVAILABLE when it is cut. */
export async function* partsOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of response) yield part;
  } catch (cause) {
    throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "the connection was lost inside an answer", { cause });
  }
}

/** The media type of an answer, without parameters. */
export function contentTypeOf({ headers }: IncomingMessage): string {
  const [type = ""] = (headers["content-type"] ?? "").split(";");
  return type.trim().toLowerCase();
}
