/**
 * The endpoint on the wire: HTTP/1.1, with TLS or without, POST / alone. Everything that a client can make large or slow is
 * bounded, and nothing that a client does ends more than its own connection.
 */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { Server as SecureServer } from "node:https";
import { createServer as createSecureServer } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import type { Clock } from "../clock.js";
import { AwsError } from "../errors.js";
import { claimedScopeOf } from "../iam/sigv4.js";
import { errorReply } from "./aws-json.js";
import type { Faults } from "./faults.js";
import type { BodyFailure } from "./request-body.js";
import { BodyReader } from "./request-body.js";
import type { AwsReply, Service, TlsDetails } from "./service.js";
import type { TlsIdentity } from "./tls.js";

export interface ListenerOptions {
  readonly service: Service;
  readonly faults: Faults;
  /** The services whose calls meet faults, as signatures name them; a request that claims another one meets none. */
  readonly faultyServices: ReadonlySet<string>;
  readonly clock: Clock;
  /** Told of what goes wrong here; the connection that it goes wrong on ends. */
  readonly onInternalError: (error: unknown) => void;
  /** Plain HTTP if left out. */
  readonly tls: TlsIdentity | undefined;
}

const REQUEST_TIMEOUT_MS = 30_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 120_000;
const MAX_CONNECTIONS = 4096;

const LIMITS: ServerOptions = {
  maxHeaderSize: 16 * 1024,
  requestTimeout: REQUEST_TIMEOUT_MS,
  headersTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: 5_000,
};

/** A server that has yet to listen. */
export function createListener({ tls, ...options }: ListenerOptions): Server | SecureServer {
  const bodies = new BodyReader();
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    respond({ ...options, bodies, secure: tls !== undefined }, request, response).catch((error: unknown) => {
      options.onInternalError(error);
      request.socket.destroy();
    });
  };
  const server =
    tls === undefined
      ? createServer(LIMITS, handle)
      : createSecureServer({ ...LIMITS, ...tls.serverOptions, handshakeTimeout: HANDSHAKE_TIMEOUT_MS }, handle);
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(IDLE_TIMEOUT_MS); // of clients that do not take their answer, too
  return server;
}

interface Endpoint extends Omit<ListenerOptions, "tls"> {
  readonly bodies: BodyReader;
  readonly secure: boolean;
}

async function respond(endpoint: Endpoint, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = await replyTo(endpoint, request);
  if (reply === undefined) {
    request.socket.destroy();
    return;
  }
  const body = Buffer.from(reply.body);
  response.writeHead(reply.status, {
    "content-type": reply.contentType,
    "content-length": body.length,
    "x-amzn-requestid": reply.requestId,
    // Clients set their signing clock by it.
    date: endpoint.clock().toUTCString(),
    "cache-control": "no-cache, no-store, must-revalidate, private",
    ...(request.complete ? {} : { connection: "close" }),
  });
  response.end(body);
}

const NO_FAULT = { latencyMs: 0, reset: false };

/** The answer; undefined if the connection is to end without one. */
async function replyTo(
  { service, faults, faultyServices, bodies, secure }: Endpoint,
  request: IncomingMessage,
): Promise<AwsReply | undefined> {
  if (request.method !== "POST" || request.url !== "/") {
    return errorReply(new AwsError("UnknownOperationException", "", 404));
  }
  const sender = senderOf(request);
  const body = await bodies.read(request);
  if (!(body instanceof Uint8Array)) return BODY_REFUSALS[body]();
  const { headers, rawHeaders } = request;
  const target = headers["x-amz-target"];
  const operation = typeof target === "string" ? target : undefined;
  const claimed = claimedScopeOf({ rawHeaders });
  const fault = faultyServices.has(claimed.service)
    ? faults.onConnection({ operation: operationName(operation, body), region: claimed.region })
    : NO_FAULT;
  if (fault.latencyMs > 0) await sleep(fault.latencyMs, undefined, { ref: false });
  if (fault.reset) return undefined;
  const userAgent = headers["user-agent"] ?? "";
  const signed = { method: "POST", target: "/", rawHeaders, body };
  return service.answer({ ...signed, ...sender, operation, userAgent, secure });
}

/** The operation that a request claims: behind the last dot of its X-Amz-Target, or `Action` of its form. */
function operationName(target: string | undefined, body: Uint8Array): string {
  if (target !== undefined) return target.slice(target.lastIndexOf(".") + 1);
  return /(?:^|&)Action=(\w{1,64})(?:&|$)/.exec(Buffer.from(body).toString("latin1"))?.[1] ?? "";
}

/** Where a request comes from. Asked at once: a connection that has ended tells nothing any more. */
const senderOf = (request: IncomingMessage) => ({
  sourceIp: request.socket.remoteAddress?.replace(/^::ffff:/, "") ?? "",
  tlsDetails: tlsDetailsOf(request),
});

function tlsDetailsOf({ socket, headers }: IncomingMessage): TlsDetails | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  // Null where the other side has hung up already, whatever the types say.
  const cipher: { readonly name: string } | null = socket.getCipher();
  const clientProvidedHostHeader = headers.host ?? "";
  return { tlsVersion: socket.getProtocol() ?? "", cipherSuite: cipher?.name ?? "", clientProvidedHostHeader };
}

const BODY_REFUSALS: Readonly<Record<BodyFailure, () => AwsReply | undefined>> = {
  "too-large": () => errorReply(new AwsError("RequestEntityTooLargeException", "", 413)),
  busy: () => errorReply(new AwsError("ServiceUnavailableException", "", 503)),
  aborted: () => undefined,
};
