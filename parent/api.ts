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
import type { EnclavePool, PooledEnclave } from "./enclave-pool.js";
import type { HttpApp } from "./http-app.js";
import { createHttpApp } from "./http-app.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics } from "./metrics.js";
import type { Tunnel } from "./tunnel.js";

export interface ApiOptions {
  readonly enclaves: EnclavePool;
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
  for (const route of RELAYED) addRelay(http, route, options.enclaves);
  http.app.get("/healthz", () => health(options));
  http.app.get("/readyz", async (_request, reply) => answerWith(reply, await readiness(options.enclaves)));
  http.app.get("/metrics", async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
  return http;
}

type Choice = (request: FastifyRequest) => PooledEnclave;

/** Each route twice: for whichever enclave is free, and for one by its name. */
function addRelay(http: HttpApp, route: RelayedRoute, enclaves: EnclavePool): void {
  addRoute(http, { ...route, url: route.path, choose: () => enclaves.next(), instead: () => enclaves.next() });
  const choose: Choice = (request) => namedEnclave(enclaves, route, request);
  addRoute(http, { ...route, url: `/enclaves/:enclave${route.path}`, choose, instead: choose });
}

interface ChosenRoute extends RelayedRoute {
  readonly url: string;
  readonly choose: Choice;
  /** Whom to ask when the first did not answer; the same one where no other will do. */
  readonly instead: Choice;
}

function addRoute(http: HttpApp, route: ChosenRoute): void {
  const chosen = new WeakMap<FastifyRequest, PooledEnclave>();
  http.app.route({
    method: route.method,
    url: route.url,
    bodyLimit: route.maxBytes,
    // Before the body is read: requests that wait for a place would otherwise hold their bodies in memory.
    onRequest: async (request, reply) => {
      const enclave = route.choose(request);
      chosen.set(request, enclave);
      onceGone(request.raw, reply.raw, enclave.client.admit());
    },
    handler: async (request, reply) => {
      const first = chosen.get(request);
      if (first === undefined) throw new TypeError("addRoute: no enclave was chosen for the request");
      const { enclave, answer } = await relay(route, { first, request, reply });
      if (answer.status >= 400) http.setOutcome(request, errorOfProblem(jsonOf(answer)).code);
      if (route.url === "/attestation") reply.header("content-location", `enclaves/${enclave.target.name}/attestation`);
      return answerWith(reply, answer);
    },
  });
}

interface Relayed {
  readonly first: PooledEnclave;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Sends the request to one enclave, and to the others in turn while those asked do not answer and it does no harm twice. */
async function relay(route: ChosenRoute, { first, request, reply }: Relayed) {
  const relayed = {
    method: route.method,
    path: pathOf(request),
    headers: relayedHeaders(request),
    body: request.body instanceof Uint8Array ? request.body : undefined,
    maxResponseBytes: route.maxBytes,
    idempotent: route.idempotent,
    signal: goneSignal(request, reply),
  };
  const asked = new Set<PooledEnclave>();
  for (let enclave = first; ; enclave = route.instead(request)) {
    asked.add(enclave);
    try {
      return { enclave, answer: await enclave.client.send(relayed) };
    } catch (error) {
      const unreachable = error instanceof ServiceError && error.code === "ERR_ENCLAVE_UNAVAILABLE";
      if (!unreachable || !route.idempotent || asked.has(route.instead(request))) throw error;
    }
  }
}

/** The path as it came, without the enclave's name. */
function pathOf({ raw: { url = "/" } }: FastifyRequest): string {
  return url.startsWith(NAMED) ? url.slice(url.indexOf("/", NAMED.length)) : url;
}

const NAMED = "/enclaves/";

/**
 * The enclave that a request names. Sealed requests to one that is gone, or that does not answer while others do, are told
 * what is true of their key: nobody here has it, and a fresh attestation leads to one that somebody has (RFC 9458 §5.2).
 * @throws ServiceError ERR_KEY_CONFIGURATION, ERR_ENCLAVE_UNAVAILABLE.
 */
function namedEnclave(enclaves: EnclavePool, { path }: RelayedRoute, { params }: FastifyRequest): PooledEnclave {
  const name = typeof params === "object" && params !== null && "enclave" in params ? String(params.enclave) : "";
  const enclave = enclaves.named(name);
  const othersAnswer = enclaves.all.some((other) => other !== enclave && other.up);
  if (path === "/v1/sealed" && (enclave === undefined || (!enclave.up && othersAnswer))) {
    throw new ServiceError("ERR_KEY_CONFIGURATION", "the enclave that has this key is not here any more");
  }
  if (enclave === undefined) throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "there is no enclave of this name");
  return enclave;
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
async function health({ enclaves, tunnel, credentials }: ApiOptions) {
  const all = await Promise.all(
    enclaves.all.map(async ({ target, client }) => [target.name, await healthOf(client)] as const),
  );
  const healthy = all.length > 0 && all.every(([, state]) => state.healthy) && !credentials.failing;
  return {
    status: healthy ? "ok" : "degraded",
    parent: {
      tunnelConnections: tunnel.open,
      credentialsAgeSeconds: credentials.ageSeconds() ?? null,
      credentialsFailing: credentials.failing,
    },
    enclaves: Object.fromEntries(all),
  };
}

async function healthOf(client: EnclaveClient) {
  try {
    const answer = await client.probe("/healthz");
    const health = jsonOf(answer) ?? null;
    return {
      reachable: true,
      healthy: answer.status === 200 && statusOf(health) === "ok",
      status: answer.status,
      health,
    };
  } catch (error) {
    return { reachable: false, healthy: false, code: toServiceError(error).code };
  }
}

/** What the enclave says of itself: it answers 200 also when a part of it fails. */
const statusOf = (health: unknown): unknown =>
  typeof health === "object" && health !== null && "status" in health ? health.status : undefined;

/** Ready means that an enclave made a real attested KMS call: only it can tell. @throws ServiceError with its code */
async function readiness(enclaves: EnclavePool): Promise<AddressResponse> {
  const probes = enclaves.all.map(({ client }) => readinessOf(client));
  if (probes.length === 0) throw new ServiceError("ERR_NOT_READY", "no enclave is known");
  return Promise.any(probes).catch((error: AggregateError) => Promise.reject(error.errors[0]));
}

async function readinessOf(enclave: EnclaveClient): Promise<AddressResponse> {
  const answer = await enclave.probe("/readyz");
  if (answer.status === 200) return answer;
  const refusal = answer.headers["content-type"]?.startsWith(PROBLEM_JSON) ? errorOfProblem(jsonOf(answer)) : undefined;
  throw refusal ?? new ServiceError("ERR_NOT_READY", `the enclave's readiness answered with status ${answer.status}`);
}
