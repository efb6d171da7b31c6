/**
 * The enclaves' operations, relayed byte for byte: at the root to whichever enclave answers, and below `/enclaves/NAME` to
 * one. What they mean is between client and enclave.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { ServiceError } from "../shared/errors.js";
import { errorOfProblem, MAX_MESSAGE_REQUEST_BYTES, MAX_REQUEST_BYTES, MAX_SEALED_BYTES } from "../shared/wire.js";
import { onceGone } from "../transport/exchange.js";
import type { AddressResponse } from "../transport/http.js";
import type { EnclavePool, PooledEnclave } from "./enclave-pool.js";
import type { HttpApp } from "./http-app.js";

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
  // An enclave refuses the second of two, and what would do harm on another one says under its seal whose it is.
  { method: "POST", path: "/v1/sealed", maxBytes: MAX_SEALED_BYTES, idempotent: true },
  { ...SMALL, path: "/v1/decrypt", idempotent: true },
  { ...SMALL, path: "/v1/data-keys", idempotent: true },
  { ...SMALL, path: "/v1/random", idempotent: true },
  { ...MESSAGE, path: "/v1/messages/decrypt", idempotent: true },
  { ...MESSAGE, path: "/v1/messages/encrypt", idempotent: true },
  { ...MESSAGE, path: "/v1/messages/re-encrypt", idempotent: true },
  { ...SMALL, path: "/v1/caches/wipe", idempotent: false },
  { ...MESSAGE, path: "/v1/functions/:name", idempotent: false },
];

/** Adds every relayed route to the API. */
export function addRelays(http: HttpApp, enclaves: EnclavePool): void {
  for (const route of RELAYED) addRelay(http, route, enclaves);
}

/**
 * Whom to ask, after those that were asked already; undefined where no other will do.
 * @throws ServiceError as `namedEnclave`.
 */
type Choice = (request: FastifyRequest, asked: ReadonlySet<PooledEnclave>) => PooledEnclave | undefined;

/** Each route twice: for whichever enclave is free, and for one by its name. */
function addRelay(http: HttpApp, route: RelayedRoute, enclaves: EnclavePool): void {
  addRoute(http, { ...route, url: route.path, choose: (_request, asked) => enclaves.next(asked) });
  const choose: Choice = (request, asked) => {
    const enclave = namedEnclave(enclaves, route, request);
    return asked.has(enclave) ? undefined : enclave;
  };
  addRoute(http, { ...route, url: `/enclaves/:enclave${route.path}`, choose });
}

interface ChosenRoute extends RelayedRoute {
  readonly url: string;
  readonly choose: Choice;
}

/** A request, and which enclaves have been asked. */
interface Relayed {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly asked: Set<PooledEnclave>;
}

function addRoute(http: HttpApp, route: ChosenRoute): void {
  const chosen = new WeakMap<FastifyRequest, Relayed & { readonly first: PooledEnclave }>();
  http.app.route({
    method: route.method,
    url: route.url,
    bodyLimit: route.maxBytes,
    // Before the body is read: requests that wait for a place would otherwise hold their bodies in memory.
    onRequest: async (request, reply) => {
      const relayed = { request, reply, asked: new Set<PooledEnclave>() };
      const first = admit(route, relayed);
      if (first === undefined) {
        throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "no enclave is known: has one been started?");
      }
      chosen.set(request, { ...relayed, first });
    },
    handler: async (request, reply) => {
      const relayed = chosen.get(request);
      if (relayed === undefined) throw new TypeError("addRoute: no enclave was chosen for the request");
      const { enclave, answer } = await relay(route, relayed);
      if (answer.status >= 400) http.setOutcome(request, errorOfProblem(jsonOf(answer)).code);
      if (route.url === "/attestation") reply.header("content-location", `enclaves/${enclave.target.name}/attestation`);
      return answerWith(reply, answer);
    },
  });
}

/**
 * The next enclave that has a place for the request, which the request keeps until it is gone; undefined where no other
 * will do. @throws ServiceError ERR_BUSY when there are others, and none has a place; as `Choice`.
 */
function admit({ choose }: ChosenRoute, { request, reply, asked }: Relayed): PooledEnclave | undefined {
  const tried = new Set(asked);
  let busy: unknown;
  for (let enclave = choose(request, tried); enclave !== undefined; enclave = choose(request, tried)) {
    tried.add(enclave);
    try {
      onceGone(request.raw, reply.raw, enclave.client.admit());
      asked.add(enclave);
      return enclave;
    } catch (error) {
      busy = error;
    }
  }
  if (busy !== undefined) throw busy;
  return undefined;
}

/** Sends the request to one enclave, and to the others in turn while those asked do not answer and it does no harm twice. */
async function relay(route: ChosenRoute, { first, ...relayed }: Relayed & { readonly first: PooledEnclave }) {
  const { request, reply } = relayed;
  const sent = {
    method: route.method,
    path: pathOf(route, request),
    headers: relayedHeaders(request),
    body: request.body instanceof Uint8Array ? request.body : undefined,
    maxResponseBytes: route.maxBytes,
    idempotent: route.idempotent,
    signal: goneSignal(request, reply),
  };
  for (let enclave = first; ; ) {
    try {
      return { enclave, answer: await enclave.client.send(sent) };
    } catch (error) {
      const unreachable = error instanceof ServiceError && error.code === "ERR_ENCLAVE_UNAVAILABLE";
      const next = unreachable && route.idempotent ? admit(route, relayed) : undefined;
      if (next === undefined) throw error;
      enclave = next;
    }
  }
}

/** The route's path in its one spelling, however it was asked for, and the query as it came. */
function pathOf({ path }: RelayedRoute, { params, raw: { url = "" } }: FastifyRequest): string {
  const [query = ""] = /\?[^#]*/.exec(url) ?? [];
  return path.replace(":name", () => encodeURIComponent(parameterOf(params, "name"))) + query;
}

const parameterOf = (params: unknown, name: string): string =>
  typeof params === "object" && params !== null ? String(new Map(Object.entries(params)).get(name) ?? "") : "";

/**
 * The enclave that a request names. Sealed requests to one that is gone, or that does not answer while others do, are told
 * what is true of their key: nobody here has it, and a fresh attestation leads to one that somebody has (RFC 9458 §5.2).
 * @throws ServiceError ERR_KEY_CONFIGURATION, ERR_ENCLAVE_UNAVAILABLE.
 */
function namedEnclave(enclaves: EnclavePool, { path }: RelayedRoute, { params }: FastifyRequest): PooledEnclave {
  const enclave = enclaves.named(parameterOf(params, "enclave"));
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

export function answerWith(reply: FastifyReply, answer: AddressResponse): FastifyReply {
  const contentType = answer.headers["content-type"];
  if (contentType !== undefined) reply.header("content-type", contentType);
  return reply.code(answer.status).send(Buffer.from(answer.body));
}

/** The JSON of a small answer, or undefined; the enclave's words are shown, not relied upon. */
export function jsonOf({ body }: AddressResponse): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined; // not JSON: the callers take that for an answer without content
  }
}
