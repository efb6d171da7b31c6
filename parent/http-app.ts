/**
 * What the parent's two HTTP servers have in common: fastify with RFC 9457 problem documents, a request id of our own
 * making for every request, bodies kept as the bytes that came, deadlines on slow clients, one log line per request
 * (declared fields only, never bodies), and a shutdown that lets requests under way finish.
 */
import { randomUUID } from "node:crypto";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { fastify } from "fastify";
import type { Logger } from "pino";
import type { ErrorCode } from "../shared/errors.js";
import { ERRORS, ServiceError, toServiceError } from "../shared/errors.js";
import { MEDIA_TYPE_OHTTP_REQUEST } from "../shared/ohttp/media-types.js";
import { MAX_REQUEST_BYTES, PROBLEM_JSON, problemOf } from "../shared/wire.js";
import { onceGone } from "../transport/exchange.js";
import type { Listening } from "../transport/listen.js";
import type { ParentLimits } from "./limits.js";

/** What became of a request: OK, the code of a refusal, or ABORTED when the client left before its answer. */
export type Outcome = ErrorCode | "OK" | "ABORTED";

export interface HttpAppOptions {
  /** Its name in the log. */
  readonly name: string;
  readonly limits: ParentLimits;
  readonly log: Logger;
  /** Longest time that a handler takes; the connection is ended when a request outlives it and both transfers. */
  readonly handlerDeadlineMs: number;
  readonly onFinished?: (request: { route: string; outcome: Outcome; seconds: number }) => void;
}

export interface HttpApp {
  readonly app: FastifyInstance;
  /** Makes it listen: `begin` says where. Its later errors (accept) go to the log. @throws whatever `begin` throws. */
  listen(begin: (server: Server) => Promise<Listening>): Promise<void>;
  /** Notes that the answer to `request`, made elsewhere, is a refusal. */
  setOutcome(request: FastifyRequest, outcome: Outcome): void;
  /** Stops accepting, lets requests under way finish within the deadline, then ends what is left. */
  close(): Promise<void>;
}

/** Longer than the idle time of the usual load balancers, which otherwise write to a connection that we just closed. */
const KEEP_ALIVE_MS = 65_000;

/** Less than the enclave takes (16 KiB), for what is added on the way: it answers longer ones without a problem document. */
const MAX_HEAD_BYTES = 15 * 1024;

/** Fastify's own errors, by what they are to a client. */
const FRAMEWORK_ERRORS: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "ERR_MESSAGE_TOO_LARGE",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "ERR_CONTENT_TYPE",
};

export function createHttpApp(options: HttpAppOptions): HttpApp {
  const { limits, log } = options;
  const outcomes = new WeakMap<FastifyRequest, Outcome>();
  const server = createDeadlineServer(limits);
  let closing = false;
  let listening: Listening | undefined;

  const app = fastify({
    serverFactory: (handler) => server.on("request", handler),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    bodyLimit: MAX_REQUEST_BYTES,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => refuse(error, request, reply),
  });
  app.removeAllContentTypeParsers();
  for (const type of ["application/json", MEDIA_TYPE_OHTTP_REQUEST]) {
    app.addContentTypeParser(type, { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  }

  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refusal = refusalOf(error);
    outcomes.set(request, refusal.code);
    log[ERRORS[refusal.code].status === 500 ? "error" : "debug"](
      { requestId: request.id, code: refusal.code, err: refusal },
      `${options.name}: refused`,
    );
    if (refusal.code === "ERR_BUSY") reply.header("retry-after", "1");
    const problem = problemOf(refusal.code, request.id);
    return reply.code(problem.status).type(PROBLEM_JSON).serializer(JSON.stringify).send(problem);
  };
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply));
  const methods = new Map<string, string[]>();
  app.addHook("onRoute", ({ url, method }) => {
    methods.set(url, [...(methods.get(url) ?? []), ...[method].flat()]);
  });
  app.setNotFoundHandler((request, reply) => {
    const allowed = methods.get(request.url.split("?", 1)[0] ?? "");
    if (!allowed) return refuse(new ServiceError("ERR_NOT_FOUND", "no such path"), request, reply);
    reply.header("allow", allowed.join(", "));
    return refuse(new ServiceError("ERR_METHOD_NOT_ALLOWED", `expected ${allowed.join(" or ")}`), request, reply);
  });

  app.addHook("onRequest", async (request, reply) => {
    const begin = performance.now();
    reply.headers({ "x-request-id": request.id, "cache-control": "no-store" });
    const overdue = setTimeout(
      () => request.raw.socket.destroy(),
      2 * limits.transferDeadlineMs + options.handlerDeadlineMs,
    );
    onceGone(request.raw, reply.raw, () => {
      clearTimeout(overdue);
      const route = request.routeOptions.url ?? "unknown";
      const outcome = reply.raw.writableFinished ? (outcomes.get(request) ?? "OK") : "ABORTED";
      const seconds = (performance.now() - begin) / 1000;
      options.onFinished?.({ route, outcome, seconds });
      log.info({ requestId: request.id, method: request.method, route, outcome, seconds }, options.name);
    });
  });
  app.addHook("onSend", async (_request, reply) => {
    if (closing) reply.header("connection", "close");
  });

  return {
    app,
    async listen(begin) {
      await app.ready();
      listening = await begin(server);
      server.on("error", (error) => log.error({ err: error }, `${options.name}: a connection could not be accepted`));
    },
    setOutcome: (request, outcome) => void outcomes.set(request, outcome),
    async close() {
      closing = true;
      const deadline = setTimeout(() => server.closeAllConnections(), limits.closeDeadlineMs);
      await listening?.close();
      clearTimeout(deadline);
      await app.close();
    },
  };
}

/** A node:http server that ends connections whose request does not arrive in time. */
function createDeadlineServer(limits: ParentLimits): Server {
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    headersTimeout: limits.transferDeadlineMs,
    requestTimeout: limits.transferDeadlineMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.ceil(Math.min(1_000, limits.transferDeadlineMs / 4)),
  });
  server.maxConnections = limits.maxConnections;
  server.on("clientError", answerUnparsed);
  return server;
}

/** Answers what never became a request: broken HTTP, too long a head, too slow a sender. */
function answerUnparsed(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const code = unparsedCode(error.code);
  // 504 would say that somebody behind us is late: here it is the client (RFC 9110 §15.5.9).
  const status = code === "ERR_TIMEOUT" ? 408 : ERRORS[code].status;
  const body = JSON.stringify({ ...problemOf(code, randomUUID()), status });
  const head = [
    `HTTP/1.1 ${status} ${code}`,
    "connection: close",
    `content-type: ${PROBLEM_JSON}`,
    `content-length: ${body.length}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

function unparsedCode(code: string | undefined): "ERR_TIMEOUT" | "ERR_MESSAGE_TOO_LARGE" | "ERR_MESSAGE_MALFORMED" {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "ERR_TIMEOUT";
  return code === "HPE_HEADER_OVERFLOW" ? "ERR_MESSAGE_TOO_LARGE" : "ERR_MESSAGE_MALFORMED";
}

function refusalOf(error: unknown): ServiceError {
  if (error instanceof ServiceError || !(error instanceof Error) || !("code" in error)) return toServiceError(error);
  const code = FRAMEWORK_ERRORS[String(error.code)];
  if (code !== undefined) return new ServiceError(code, error.message);
  // Whatever else fastify blames on the client (4xx): a length that does not match, a path that cannot be decoded.
  const blamesClient = "statusCode" in error && Number(error.statusCode) >= 400 && Number(error.statusCode) < 500;
  return blamesClient ? new ServiceError("ERR_MESSAGE_MALFORMED", error.message) : toServiceError(error);
}
