/**
 * The enclave's HTTP server, on node:http: the plain channel from the parent, which also carries sealed requests, and the
 * inside of attested TLS. It bounds everything that the other side decides on (PITFALLS 15): heads, bodies, times,
 * requests at a time, and how long a slow reader may take an answer. Failures become problem documents with a code and a
 * request id; the rest stays in the log.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, RequestListener, Server, ServerOptions, ServerResponse } from "node:http";
import { utf8, wipe } from "../../shared/bytes.js";
import { toServiceError } from "../../shared/errors.js";
import { PROBLEM_JSON, problemOf } from "../../shared/wire.js";
import { onceGone } from "../../transport/exchange.js";
import type { Listening } from "../../transport/listen.js";
import type { Clock } from "../clock.js";
import { withinDeadline } from "../deadline.js";
import type { Gate } from "../gate.js";
import type { Route, RoutedAnswer, RoutedRequest, Target } from "../operations/route.js";
import { mediaTypeOf, parseTarget } from "./http-request.js";
import { requestBody } from "./request-body.js";
import type { RequestLog } from "./request-log.js";
import type { Exchange as Sending } from "./sender.js";
import { SEND_MS, Sender } from "./sender.js";

const HEAD_MS = 10_000;
const MAX_HEAD_BYTES = 16 * 1024;
/** How often node:http looks for requests that take too long to arrive. */
const CHECK_MS = 1_000;
/** For requests under way when the server closes. */
const GRACE_MS = 10_000;
export const MAX_CONNECTIONS = 8_192;

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** What a channel is, as far as the server needs to know. */
export interface ServedChannel {
  readonly name: "parent" | "tls";
  /** Whether bodies may be streams: then a request may take as long as it moves. */
  readonly streams: boolean;
  /** Makes the server that accepts connections. */
  readonly create: (options: ServerOptions, listener: RequestListener) => Server;
  /** Makes it listen. @throws ServiceError ERR_ADDRESS. */
  readonly listen: (server: Server) => Promise<Listening>;
  /** The route of a request. @throws ServiceError when there is none. */
  readonly match: (target: Target) => Route;
  /** The key that the other side of `request`'s connection has been shown; undefined where there is none. */
  readonly connectionKey: (request: IncomingMessage) => Uint8Array | undefined;
}

export interface EnclaveServerOptions {
  readonly channel: ServedChannel;
  /** Requests at a time, those of callers and those that anybody may make; shared by the servers of an enclave. */
  readonly gates: { readonly guarded: Gate; readonly open: Gate };
  readonly requestDeadlineMs: number;
  readonly clock: Clock;
  readonly log: RequestLog;
}

/** A request with what is known about it so far. */
interface Exchange extends Sending {
  readonly startedAtMs: number;
  route: Route | undefined;
}

export class EnclaveServer {
  readonly #options: EnclaveServerOptions;
  readonly #http: Server;
  readonly #sender: Sender;
  #listening: Listening | undefined;
  #closing = false;

  constructor(options: EnclaveServerOptions) {
    const { channel, requestDeadlineMs } = options;
    this.#options = options;
    this.#sender = new Sender(options.clock);
    const limits = {
      headersTimeout: Math.min(HEAD_MS, requestDeadlineMs),
      requestTimeout: channel.streams ? 0 : requestDeadlineMs,
      connectionsCheckingInterval: CHECK_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
    };
    this.#http = channel.create(limits, (request, response) => this.#accept(request, response));
    this.#http.maxConnections = MAX_CONNECTIONS;
    this.#http.timeout = requestDeadlineMs + SEND_MS; // silence in both directions
  }

  /** Starts to listen. @throws ServiceError ERR_ADDRESS. */
  async listen(): Promise<void> {
    this.#listening = await this.#options.channel.listen(this.#http);
    this.#http.on("error", () => this.#options.log.fault("the server could not accept"));
  }

  /** Takes no more requests, and waits for those under way, for a while. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = this.#listening?.close();
    this.#http.closeIdleConnections();
    const cancel = this.#options.clock.after(GRACE_MS, () => this.#http.closeAllConnections());
    await closed;
    cancel();
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    const startedAtMs = this.#options.clock.monotonicMs();
    const exchange: Exchange = { request, response, requestId: requestIdOf(request), startedAtMs, route: undefined };
    this.#serve(exchange).catch((error: unknown) => this.#refuse(exchange, error));
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { channel, gates } = this.#options;
    const { method = "", url = "", headers } = exchange.request;
    const target = parseTarget(url);
    const contentType = mediaTypeOf(headers["content-type"]);
    const route = channel.match({ method, path: target.pathname, contentType });
    exchange.route = route;
    const serve = (): Promise<void> => this.#answer(exchange, route, target);
    await (route.always ? serve() : (route.guarded ? gates.guarded : gates.open).run(serve));
  }

  /** Serves one request to the end of its answer: until then it counts as one of those at a time. */
  async #answer(exchange: Exchange, route: Route, target: URL): Promise<void> {
    const { clock, requestDeadlineMs: deadlineMs } = this.#options;
    const gone = new AbortController();
    onceGone(exchange.request, exchange.response, () => gone.abort());
    const answer = await withinDeadline({ clock, deadlineMs, what: route.name }, (deadline) => {
      // Once the answer begins the deadline cannot fire any more: a stream is not bound by that of its beginning.
      const signal = AbortSignal.any([deadline, gone.signal]);
      return inTime(route.serve(this.#routed(exchange, target, signal)), deadline);
    });
    try {
      await this.#send(exchange, answer);
    } finally {
      answer.release?.();
      this.#drain(exchange);
    }
  }

  #routed({ request, requestId }: Exchange, target: URL, signal: AbortSignal): RoutedRequest {
    const { name: channel, streams, connectionKey } = this.#options.channel;
    const { method = "", headers } = request;
    return {
      ...{ channel, requestId, method, signal },
      path: target.pathname,
      query: target.searchParams,
      fields: {
        authorization: headers.authorization,
        dpop: textOf(headers.dpop),
        contentType: mediaTypeOf(headers["content-type"]),
        encryptionContext: textOf(headers["encryption-context"]),
        messageOptions: textOf(headers["message-options"]),
      },
      body: requestBody(request, { streams, signal }),
      connectionKey: () => connectionKey(request),
      assertFirst: () => undefined, // sealed requests can be repeated by who carries them; these have a connection
    };
  }

  async #send(exchange: Exchange, { body, contentType, fields, keyArn }: RoutedAnswer): Promise<void> {
    const { log } = this.#options;
    const head = { status: 200, contentType, ...(fields ? { fields } : {}), last: this.#isLast(exchange) };
    if (body instanceof Uint8Array) {
      await this.#sender.whole(exchange, head, body).finally(() => wipe(body));
      return log.served(this.#logged(exchange), keyArn);
    }
    const failure = await this.#sender.stream(exchange, head, body);
    if (failure) log.refused(this.#logged(exchange), failure, head.status);
    else log.served(this.#logged(exchange), keyArn);
  }

  #refuse(exchange: Exchange, error: unknown): void {
    const refusal = toServiceError(error);
    const problem = problemOf(refusal.code, exchange.requestId);
    this.#options.log.refused(this.#logged(exchange), refusal, problem.status);
    if (exchange.response.headersSent) {
      exchange.response.destroy();
      return;
    }
    const head = { status: problem.status, contentType: PROBLEM_JSON, last: this.#isLast(exchange) };
    this.#sender.whole(exchange, head, utf8(JSON.stringify(problem))).catch(() => {
      exchange.response.destroy(); // the refusal could not be told; the connection ends, the process does not
    });
    this.#drain(exchange);
  }

  /** Where bodies are no streams, what is left of one is not waited for. */
  #isLast({ request }: Exchange): boolean {
    return this.#closing || !(request.complete || this.#options.channel.streams);
  }

  /**
   * Reads what is left of a streamed body, for a while: a connection that ended with it unread would be reset, and the
   * answer lost on its way to a client that is still sending (RFC 9112 §9.6).
   */
  #drain({ request }: Exchange): void {
    if (!this.#options.channel.streams || request.complete || request.destroyed) return;
    const cancel = this.#options.clock.after(SEND_MS, () => request.socket.destroy());
    request.once("end", cancel).once("close", cancel).resume();
  }

  #logged({ requestId, startedAtMs, route }: Exchange) {
    return { requestId, startedAtMs, route, channel: this.#options.channel.name };
  }
}

/** The parent's id of the request, so that both logs can be read together; ours where it sent none. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && UUID.test(given) ? given.toLowerCase() : randomUUID();
}

/** What comes after the deadline goes to nobody: its place is given back, and its bytes are overwritten. */
async function inTime(serving: Promise<RoutedAnswer>, deadline: AbortSignal): Promise<RoutedAnswer> {
  const answer = await serving;
  if (!deadline.aborted) return answer;
  if (answer.body instanceof Uint8Array) wipe(answer.body);
  answer.release?.();
  return answer;
}

/** A field that came once. node:http joins repetitions of most fields with commas, which no value of ours has. */
const textOf = (field: string | string[] | undefined): string | undefined =>
  Array.isArray(field) ? field.join(", ") : field;
