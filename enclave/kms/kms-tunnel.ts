/**
 * The transport *tunnel* to KMS (DESIGN decision 2): the SDK's own HTTP handler over TLS that ends in this process. The
 * bytes go through the parent, which passes them on without understanding them; AWS's vsock-proxy does in its place. Who
 * answers must show a certificate for the regional KMS name under the pinned roots, and nothing switches that off: not
 * NODE_TLS_REJECT_UNAUTHORIZED, not NODE_EXTRA_CA_CERTS.
 *
 * Bounded: connections at a time, requests waiting, size of an answer; connect, handshake, idle and total time.
 */
import { Agent } from "node:https";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { concatBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { connectTo } from "../../transport/connect.js";
import { Gate } from "../gate.js";

export interface TunnelLimits {
  /** Connections at a time. */
  readonly maxConnections: number;
  /** Requests that wait for one; more are refused. */
  readonly maxQueued: number;
  readonly connectMs: number;
  readonly handshakeMs: number;
  /** Silence on a connection, whether an answer is awaited or the connection is kept for the next request. */
  readonly idleMs: number;
  /** From a request's turn to the last byte of its answer. */
  readonly totalMs: number;
}

/** The deadlines; the bounds on numbers come from the configuration. */
export const TUNNEL_DEADLINES = { connectMs: 3_000, handshakeMs: 5_000, idleMs: 15_000, totalMs: 20_000 };

export interface TunnelOptions {
  /** Where the parent's tunnel listens. */
  readonly address: string;
  /** The name that the certificate must be for. */
  readonly hostname: string;
  /** PEM certificates under which it must chain. */
  readonly roots: readonly string[];
  readonly limits: TunnelLimits;
  /** Told the `Date` header of each answer. */
  readonly onDate?: (date: string | undefined) => void;
}

/** A KMS answer is a few kilobytes of JSON. */
const MAX_ANSWER_BYTES = 64 * 1024;

type Handle = NodeHttpHandler["handle"];

/**
 * A `requestHandler` for a KMSClient.
 * Requests reject with ServiceError ERR_KMS_UNTRUSTED (never tried again), ERR_KMS_UNAVAILABLE, ERR_TIMEOUT, ERR_BUSY.
 */
export class TunnelHandler extends NodeHttpHandler {
  readonly #gate: Gate;
  readonly #totalMs: number;
  readonly #onDate: (date: string | undefined) => void;
  readonly #agent: TunnelAgent;

  constructor(options: TunnelOptions) {
    const agent = new TunnelAgent(options);
    const { idleMs, maxConnections, maxQueued, totalMs } = options.limits;
    super({ httpsAgent: agent, socketTimeout: idleMs, requestTimeout: totalMs, throwOnRequestTimeout: true });
    this.#agent = agent;
    this.#totalMs = totalMs;
    this.#onDate = options.onDate ?? (() => undefined);
    this.#gate = new Gate("KMS requests", { maxConcurrent: maxConnections, maxQueued });
  }

  /** Closes the kept connections. */
  override destroy(): void {
    this.#agent.destroy();
  }

  override handle(...[request, options = {}]: Parameters<Handle>): ReturnType<Handle> {
    // Port 443 and TLS are what the client's endpoint says; anything else would leave the enclave unencrypted.
    if (request.protocol !== "https:") throw new TypeError("TunnelHandler: expected an https request");
    const given = options.abortSignal instanceof AbortSignal ? options.abortSignal : undefined;
    return this.#gate.run(() => this.#exchange(request, options, given), given);
  }

  async #exchange(
    request: Parameters<Handle>[0],
    options: Parameters<Handle>[1],
    given: AbortSignal | undefined,
  ): ReturnType<Handle> {
    const total = new AbortController();
    const timer = setTimeout(() => total.abort(), this.#totalMs);
    const abortSignal = given ? AbortSignal.any([given, total.signal]) : total.signal;
    try {
      const { response } = await super.handle(request, { ...options, abortSignal });
      this.#onDate(response.headers.date);
      response.body = await readAnswer(response.body, abortSignal);
      return { response };
    } catch (error) {
      if (given?.aborted) throw error; // the caller's own doing, told in the SDK's way
      throw tunnelErrorOf(error, total.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The whole answer, read while the total deadline still runs: the SDK would read it later, without one. */
async function readAnswer(body: unknown, signal: AbortSignal): Promise<Uint8Array> {
  if (!(body instanceof Readable)) throw new TypeError("TunnelHandler: expected the answer as a stream");
  const abort = (): void => {
    body.destroy(new Error("the answer was given up"));
  };
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) abort();
    return await collect(body);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function collect(body: Readable): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    if (!(part instanceof Uint8Array)) throw new TypeError("TunnelHandler: expected the answer as bytes");
    length += part.length;
    if (length > MAX_ANSWER_BYTES) {
      throw new ServiceError("ERR_KMS_ANSWER", `expected an answer of at most ${MAX_ANSWER_BYTES} bytes`);
    }
    parts.push(part);
  }
  return concatBytes(...parts);
}

/** The SDK tries a request again when the cause of its error is one that may pass (a lost connection, a deadline). */
function tunnelErrorOf(cause: unknown, totalPassed: boolean): unknown {
  if (cause instanceof ServiceError || cause instanceof TypeError) return cause;
  // The SDK's handler names a broken connection a timeout as well; its code tells which it was.
  const broken = cause instanceof Error && "code" in cause && (cause.code === "ECONNRESET" || cause.code === "EPIPE");
  if (totalPassed || (cause instanceof Error && cause.name === "TimeoutError" && !broken)) {
    return new ServiceError("ERR_TIMEOUT", "AWS KMS did not answer in time", { cause });
  }
  return new ServiceError("ERR_KMS_UNAVAILABLE", "the connection to AWS KMS failed", { cause });
}

/** Opens the connections: a stream to the parent, and TLS inside it. */
class TunnelAgent extends Agent {
  readonly #options: TunnelOptions;

  constructor(options: TunnelOptions) {
    const { idleMs, maxConnections } = options.limits;
    super({ keepAlive: true, maxSockets: maxConnections, maxFreeSockets: maxConnections, timeout: idleMs });
    this.#options = options;
  }

  override createConnection(_: unknown, done?: (error: Error | null, stream: Duplex) => void): undefined {
    this.#open().then(
      (socket) => done?.(null, socket),
      // node:http looks at no stream where there is an error; its types want one.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    );
  }

  async #open(): Promise<TLSSocket> {
    const { address, limits } = this.#options;
    const stream = await connectTo(address, { deadlineMs: limits.connectMs, failureCode: "ERR_KMS_UNAVAILABLE" });
    return handshake(stream, this.#options);
  }
}

function handshake(stream: Duplex, { hostname, roots, limits }: TunnelOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: stream,
      servername: hostname,
      ca: [...roots],
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: true, // written out: the default is what an environment variable says
    });
    const settle = (): void => {
      clearTimeout(timer);
      socket.off("error", onError).off("close", onClose).off("secureConnect", onSecure);
    };
    const fail = (error: unknown): void => {
      settle();
      socket.on("error", ignoreAfterFailure).destroy();
      stream.destroy();
      reject(error);
    };
    const onError = (cause: Error): void => fail(handshakeErrorOf(cause, socket));
    const onClose = (): void =>
      fail(new ServiceError("ERR_KMS_UNAVAILABLE", "the connection ended within the handshake"));
    const onSecure = (): void => {
      settle();
      resolve(socket);
    };
    const late = (): void => fail(new ServiceError("ERR_TIMEOUT", `no TLS handshake within ${limits.handshakeMs} ms`));
    const timer = setTimeout(late, limits.handshakeMs);
    socket.once("error", onError).once("close", onClose).once("secureConnect", onSecure);
  });
}

/** A connection that has failed may still report errors; its failure has been told already. */
const ignoreAfterFailure = (): undefined => undefined;

/** A certificate that does not verify, or an answer that is not TLS as KMS speaks it: who answered is not KMS. */
function handshakeErrorOf(cause: Error, socket: TLSSocket): ServiceError {
  const code = "code" in cause ? String(cause.code) : "";
  if (socket.authorizationError || code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_") || code === "EPROTO") {
    return new ServiceError("ERR_KMS_UNTRUSTED", "expected AWS KMS under the pinned roots, another one answered", {
      cause,
    });
  }
  return new ServiceError("ERR_KMS_UNAVAILABLE", "the TLS handshake with AWS KMS failed", { cause });
}
