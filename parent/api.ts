/**
 * The parent's HTTP API. The enclave's operations are relayed byte for byte, within the size limits of shared/wire.ts and
 * a bound on requests under way: what they mean is between client and enclave. Health, readiness and metrics are the
 * parent's own.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { ServiceError, toServiceError } from "../shared/errors.js";
import {
  errorOfProblem,
  MAX_MESSAGE_REQUEST_BYTES,
  MAX_REQUEST_BYTES,
  MAX_SEALED_BYTES,
  PROBLEM_JSON,
} from "../shared/wire.js";
import { onceGone } from "../transport/exchange.js";
import type { AddressResponse } from "../transport/http.js";
import type { CredentialsSource } from "./credentials.js";
import { allowOrigins } from "./cross-origin.js";
import type { EnclaveClient } from "./enclave-client.js";
import type { HttpApp } from "./http-app.js";
import { createHttpApp } from "./http-app.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics } from "./metrics.js";
import type { Tunnel } from "./tunnel.js";

export interface ApiOptions {
  readonly enclave: EnclaveClient;
  readonly tunnel: Tunnel;
  readonly credentials: CredentialsSource;
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
  /** Origins whose pages may call the API from a browser; none unless given. */
  readonly allowOrigins?: readonly string[] | undefined;
}

interface RelayedRoute {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Limit on the request's body, and on the answer's. */
  readonly maxBytes: number;
  /** Whether the enclave may get the request twice, when a kept connection is lost before an answer. */
  readonly idempotent: boolean;
}

const MESSAGE = { method: "POST", maxBytes: MAX_MESSAGE_REQUEST_BYTES } as const;
const SMALL = { method: "POST", maxBytes: MAX_REQUEST_BYTES } as const;

const RELAYED: readonly RelayedRoute[] = [
  { method: "GET", path: "/attestation", maxBytes: MAX_REQUEST_BYTES, idempotent: true },
  // The enclave itself refuses the second of two.
  { method: "POST", path: "/v1/sealed", maxBytes: MAX_SEALED_BYTES, idempotent: true },
  { ...SMALL, path: "/v1/decrypt", idempotent: true },
  { ...SMALL, path: "/v1/data-keys", idempotent: true },
  { ...SMALL, path: "/v1/random", idempotent: true },
  { ...MESSAGE, path: "/v1/messages/decrypt", idempotent: true },
  { ...MESSAGE, path: "/v1/functions/:name", idempotent: false },
];

/** The API, not yet listening. */
export function createApi(options: ApiOptions): HttpApp {
  const { limits, log, metrics } = options;
  const http = createHttpApp({
    name: "api",
    limits,
    log,
    handlerDeadlineMs: limits.enclaveDeadlineMs,
    onFinished: ({ route, outcome, seconds }) => {
      metrics.requests.inc({ route, code: outcome });
      metrics.requestSeconds.observe({ route }, seconds);
    },
  });
  allowOrigins(http.app, options.allowOrigins ?? []);
  for (const route of RELAYED) addRelay(http, route, options.enclave);
  http.app.get("/healthz", () => health(options));
  http.app.get("/readyz", async (_request, reply) => answerWith(reply, await readiness(options.enclave)));
  http.app.get("/metrics", async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  return http;
}

function addRelay(http: HttpApp, route: RelayedRoute, enclave: EnclaveClient): void {
  const { method, path, maxBytes, idempotent } = route;
  http.app.route({
    method,
    url: path,
    bodyLimit: maxBytes,
    // Before the body is read: requests that wait for a place would otherwise hold their bodies in memory.
    onRequest: async (request, reply) => {
      onceGone(request.raw, reply.raw, enclave.admit());
    },
    handler: async (request, reply) => {
      const answer = await enclave.send({
        method,
        path: request.raw.url ?? path,
        headers: relayedHeaders(request),
        body: request.body instanceof Uint8Array ? request.body : undefined,
        maxResponseBytes: maxBytes,
        idempotent,
        signal: goneSignal(request, reply),
      });
      if (answer.status >= 400) http.setOutcome(request, errorOfProblem(jsonOf(answer)).code);
      return answerWith(reply, answer);
    },
  });
}

/** What the enclave looks at; on the plain channel the caller's credentials too, which the parent then sees. */
const RELAYED_FIELDS = ["content-type", "authorization", "dpop"] as const;

function relayedHeaders(request: FastifyRequest): Record<string, string> {
  const given = RELAYED_FIELDS.flatMap((name) => {
    const value = request.headers[name];
    return typeof value === "string" ? [[name, value] as const] : [];
  });
  return { "x-request-id": request.id, ...Object.fromEntries(given) };
}

/** A signal that fires when the client leaves before its answer: the enclave need not work for nobody. */
function goneSignal(request: FastifyRequest, reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  onceGone(request.raw, reply.raw, () => {
    if (!reply.raw.writableFinished) gone.abort(new ServiceError("ERR_TIMEOUT", "the client left before its answer"));
  });
  return gone.signal;
}

function answerWith(reply: FastifyReply, answer: AddressResponse): FastifyReply {
  const contentType = answer.headers["content-type"];
  if (contentType !== undefined) reply.header("content-type", contentType);
  return reply.code(answer.status).send(Buffer.from(answer.body));
}

/** The JSON of a small answer, or undefined; the enclave's words are shown, not relied upon. */
function jsonOf({ body }: AddressResponse): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined; // not JSON: the callers take that for an answer without content
  }
}

/** Always 200 while the parent lives; what is wrong stands in the document. */
async function health({ enclave, tunnel, credentials }: ApiOptions) {
  const state = await enclave.probe("/healthz").then(
    (answer) => ({ reachable: true, status: answer.status, health: jsonOf(answer) ?? null }) as const,
    (error: unknown) => ({ reachable: false, code: toServiceError(error).code }) as const,
  );
  const healthy = state.reachable && state.status === 200 && statusOf(state.health) === "ok" && !credentials.failing;
  return {
    status: healthy ? "ok" : "degraded",
    parent: {
      tunnelConnections: tunnel.open,
      credentialsAgeSeconds: credentials.ageSeconds() ?? null,
      credentialsFailing: credentials.failing,
    },
    enclave: state,
  };
}

/** What the enclave says of itself: it answers 200 also when a part of it fails. */
const statusOf = (health: unknown): unknown =>
  typeof health === "object" && health !== null && "status" in health ? health.status : undefined;

/** Ready means that the enclave made a real attested KMS call: only it can tell. @throws ServiceError with its code */
async function readiness(enclave: EnclaveClient): Promise<AddressResponse> {
  const answer = await enclave.probe("/readyz");
  if (answer.status === 200) return answer;
  const refusal = answer.headers["content-type"]?.startsWith(PROBLEM_JSON) ? errorOfProblem(jsonOf(answer)) : undefined;
  throw refusal ?? new ServiceError("ERR_NOT_READY", `the enclave's readiness answered with status ${answer.status}`);
}
