/**
 * A simulated NSM behind a Unix socket, so that the enclave can be a process of its own: HTTP/1.1, `POST /` with the
 * request's CBOR, answered 200 with the response's CBOR. The device's own refusals are responses, not HTTP errors; HTTP
 * errors say that it was not asked in this way.
 *
 * The socket's file has mode 0600: whoever can open it can have documents signed, as with /dev/nsm inside an enclave.
 */
import { chmod } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { parseAddress } from "../../shared/address.js";
import { concatBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { Nsm } from "../../shared/nsm.js";
import { NSM_MAX_REQUEST_BYTES } from "../../shared/nsm.js";

export const NSM_MEDIA_TYPE = "application/cbor";

const TIMEOUTS = {
  /** For a whole request to arrive, its body included. */
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  keepAliveTimeout: 60_000,
  /** How often node:http looks for requests past their deadline. */
  connectionsCheckingInterval: 1_000,
};

export interface NsmServer {
  readonly address: string;
  /** Takes no more connections, answers what has been asked, ends what is left. Closing again does nothing. */
  close(): Promise<void>;
}

/**
 * Serves `nsm` at `address` (`unix:/path`). A socket file that exists already is an error: the folder is the caller's.
 * @throws ServiceError ERR_ADDRESS when nothing can listen there.
 */
export async function serveNsm(nsm: Nsm, address: string): Promise<NsmServer> {
  const path = unixPath(address);
  const answering = new Set<Promise<void>>();
  const server = createServer(TIMEOUTS, (request, response) => {
    const done = new Promise<void>((resolve) => response.once("close", resolve));
    answering.add(done);
    response.once("close", () => answering.delete(done));
    answer(nsm, request, response).catch((error: unknown) => response.destroy(toError(error)));
  });
  await listen(server, path);
  // A connection that could not be accepted is its client's loss, not the end of the device.
  server.on("error", () => undefined);
  await chmod(path, 0o600);
  return { address, close: () => close(server, answering) };
}

async function answer(nsm: Nsm, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "POST" || request.url !== "/") return refuse(request, response, 404);
  if (request.headers["content-type"] !== NSM_MEDIA_TYPE) return refuse(request, response, 415);
  const body = await readAtMost(request, NSM_MAX_REQUEST_BYTES);
  if (body === undefined) return refuse(request, response, 413);
  const bytes = await nsm.exchange(body);
  response.writeHead(200, { "content-type": NSM_MEDIA_TYPE, "content-length": bytes.length }).end(bytes);
}

/** Ends the connection with the answer, rather than read a body that nobody wants. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number): void {
  response.writeHead(status, { connection: "close", "content-length": 0 }).end(() => request.destroy());
}

async function readAtMost(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop must not destroy the request's socket before the refusal is written: read by events.
  return new Promise((resolve, reject) => {
    request.on("data", (part: Uint8Array) => {
      length += part.length;
      if (length > maxBytes) resolve(undefined);
      else parts.push(part);
    });
    request.once("end", () => resolve(concatBytes(...parts)));
    request.once("error", reject);
  });
}

function unixPath(address: string): string {
  const parsed = parseAddress(address);
  if (parsed.kind !== "unix") throw new ServiceError("ERR_ADDRESS", "a simulated NSM is served on a Unix socket");
  return parsed.path;
}

async function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new ServiceError("ERR_ADDRESS", "the simulated NSM cannot listen at its address", { cause }));
    server.once("error", fail);
    server.listen(path, () => {
      server.off("error", fail);
      resolve();
    });
  });
}

async function close(server: Server, answering: ReadonlySet<Promise<void>>): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  await Promise.all(answering);
  server.closeAllConnections();
  await closed;
}

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
