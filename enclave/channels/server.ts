/**
 * The enclave's HTTP server, on node:http: the plain channel from the parent. It bounds everything that the other side
 * decides on (PITFALLS 15): heads, bodies, times, requests at a time, and how long a slow reader may take an answer.
 * Failures become problem documents with a code and a request id; the rest stays in the log.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { concatBytes, utf8, wipe } from "../../shared/bytes.js";
import { ServiceError, toServiceError } from "../../shared/errors.js";
import { PROBLEM_JSON, problemOf } from "../../shared/wire.js";
import { onceGone } from "../../vsock/exchange.js";
import { listenAt } from "../../vsock/transport.js";
import type { Clock } from "../clock.js";
import { withinDeadline } from "../deadline.js";
import { Gate } from "../gate.js";
import type { LogFields, Logger } from "../log.js";
import type { Channel, Route, RoutedAnswer, Router } from "../operations/router.js";

const HEAD_MS = 10_000;
const MAX_HEAD_BYTES = 16 * 1024;
/** How often node:http looks for requests that take too long to arrive. */
const CHECK_MS = 1_000;
/** For the other side to take an answer, which is held in memory until then. */
const SEND_MS = 10_000;
/** For requests under way when the server closes. */
const GRACE_MS = 10_000;
const MAX_CONNECTIONS = 8_192;

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export interface EnclaveServerOptions {
  readonly router: Router;
  /** The channel that this server is. */
  readonly channel: Channel;
  readonly maxConcurrentRequests: number;
  readonly requestDeadlineMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A request with what is known about it so far. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly startedAtMs: number;
}

export class EnclaveServer {
  readonly #options: EnclaveServerOptions;
  readonly #http: Server;
  readonly #gate: Gate;
  #closing = false;

  constructor(options: EnclaveServerOptions) {
    this.#options = options;
    this.#gate = new Gate("requests", { maxConcurrent: options.maxConcurrentRequests, maxQueued: 0 });
    const limits = {
      headersTimeout: Math.min(HEAD_MS, options.requestDeadlineMs),
      requestTimeout: options.requestDeadlineMs,
      connectionsCheckingInterval: CHECK_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
    };
    this.#http = createServer(limits, (request, response) => {
      const startedAtMs = options.clock.monotonicMs();
      const exchange = { request, response, requestId: requestIdOf(request), startedAtMs };
      this.#serve(exchange).catch((error: unknown) => this.#refuse(exchange, undefined, error));
    });
    this.#http.maxConnections = MAX_CONNECTIONS;
    this.#http.timeout = options.requestDeadlineMs + SEND_MS; // silence in both directions
  }

  /** Starts to listen. @throws ServiceError ERR_ADDRESS. */
  async listen(address: string): Promise<void> {
    await listenAt(this.#http, address);
    this.#http.on("error", () => this.#options.log.error({ code: "ERR_INTERNAL" }, "the server could not accept"));
  }

  /** Takes no more requests, and waits for those under way, for a while. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
    });
    this.#http.closeIdleConnections();
    const cancel = this.#options.clock.after(GRACE_MS, () => this.#http.closeAllConnections());
    await closed;
    cancel();
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { request } = exchange;
    const { router, channel } = this.#options;
    let route: Route | undefined;
    try {
      const target = parseTarget(request);
      route = router.match(channel, request.method ?? "", target.pathname);
      const matched = route;
      assertContentType(request, matched);
      const serve = (): Promise<void> => this.#answer(exchange, matched, target.searchParams);
      await (matched.always ? serve() : this.#gate.run(serve));
    } catch (error) {
      this.#refuse(exchange, route, error);
    }
  }

  /** Serves one request to the end of its answer: until then it counts as one of those at a time. */
  async #answer(exchange: Exchange, route: Route, query: URLSearchParams): Promise<void> {
    const { clock, requestDeadlineMs: deadlineMs } = this.#options;
    const gone = new AbortController();
    onceGone(exchange.request, exchange.response, () => gone.abort());
    const answer = await withinDeadline({ clock, deadlineMs, what: route.name }, async (deadline) => {
      const body = await readBody(exchange.request, route.maxBodyBytes);
      return route.serve({ query, body, signal: AbortSignal.any([deadline, gone.signal]) });
    });
    try {
      await this.#send(exchange, 200, "application/json", answer.body);
    } finally {
      wipe(answer.body);
    }
    if (!route.always) this.#options.log.info(this.#logFields(exchange, route, 200, answer), "served");
  }

  /** Sends an answer and waits until it is gone; a reader that is too slow for it loses the connection. */
  async #send(
    { request, response, requestId }: Exchange,
    status: number,
    type: string,
    body: Uint8Array,
  ): Promise<void> {
    if (response.destroyed || request.socket.destroyed) return;
    const closed = new Promise<void>((resolve) => {
      onceGone(request, response, resolve);
    });
    const cancel = this.#options.clock.after(SEND_MS, () => request.socket.destroy());
    // A body that was not read to its end would be taken for the next request.
    const last = this.#closing || !request.complete;
    response.writeHead(status, {
      "content-type": type,
      "content-length": body.length,
      "cache-control": "no-store",
      "x-request-id": requestId,
      ...(last ? { connection: "close" } : {}),
    });
    response.end(body);
    await closed;
    cancel();
  }

  #refuse(exchange: Exchange, route: Route | undefined, error: unknown): void {
    const refusal = toServiceError(error);
    const problem = problemOf(refusal.code, exchange.requestId);
    const unexpected =
      refusal.cause instanceof Error && refusal.code === "ERR_INTERNAL" ? refusal.cause.name : undefined;
    const fields: LogFields = {
      ...this.#logFields(exchange, route, problem.status),
      code: refusal.code,
      reason: refusal.message,
      ...(unexpected === undefined ? {} : { errorName: unexpected }),
    };
    if (unexpected === undefined) this.#options.log.warn(fields, "refused");
    else this.#options.log.error(fields, "failed");
    if (exchange.response.headersSent) {
      exchange.response.destroy();
      return;
    }
    this.#send(exchange, problem.status, PROBLEM_JSON, utf8(JSON.stringify(problem))).catch(() => {
      exchange.response.destroy(); // the refusal could not be told; the connection ends, the process does not
    });
  }

  #logFields(exchange: Exchange, route: Route | undefined, status: number, answer?: RoutedAnswer): LogFields {
    return {
      requestId: exchange.requestId,
      status,
      elapsedMs: Math.round(this.#options.clock.monotonicMs() - exchange.startedAtMs),
      ...(route ? { operation: route.name } : {}),
      ...(answer?.keyArn === undefined ? {} : { keyArn: answer.keyArn }),
    };
  }
}

/** The parent's id of the request, so that both logs can be read together; ours where it sent none. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && UUID.test(given) ? given.toLowerCase() : randomUUID();
}

function parseTarget(request: IncomingMessage): URL {
  const target = request.url ?? "";
  if (!target.startsWith("/") || !URL.canParse(target, "http://enclave")) {
    throw new ServiceError("ERR_NOT_FOUND", "expected the path of an operation");
  }
  return new URL(target, "http://enclave");
}

function assertContentType(request: IncomingMessage, route: Route): void {
  if (route.maxBodyBytes === 0) return;
  const [type = ""] = (request.headers["content-type"] ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/json") {
    throw new ServiceError("ERR_CONTENT_TYPE", "expected a body of type application/json");
  }
}

/** The whole body. @throws ServiceError ERR_MESSAGE_TOO_LARGE, before more than `maxBytes` are in memory. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const parts: Uint8Array[] = [];
  let length = 0;
  // Not `for await`: leaving such a loop would destroy the connection, and the refusal could not be sent.
  return new Promise((resolve, reject) => {
    request.on("data", (part: Uint8Array) => {
      length += part.length;
      if (length <= maxBytes) parts.push(part);
      else {
        request.pause();
        reject(tooLarge(maxBytes));
      }
    });
    request.once("end", () => resolve(concatBytes(...parts)));
    request.once("error", () => reject(new ServiceError("ERR_MESSAGE_MALFORMED", "the request ended within its body")));
  });
}

const tooLarge = (maxBytes: number): ServiceError =>
  new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected a body of at most ${maxBytes} bytes`);
