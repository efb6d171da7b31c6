/**
 * The routes of the enclave, apart from what carries them. Attestation and health are open on every channel. Operations
 * are guarded (guard.ts), and answer the parent in plain only where the configuration names them.
 */
import type { EndpointKeys } from "../../shared/attestation/endpoint-keys.js";
import { endpointKeysUserData } from "../../shared/attestation/endpoint-keys.js";
import { fromBase64Url, toBase64 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { AttestationResponse } from "../../shared/wire.js";
import type { Channel } from "../authorization/request.js";
import type { HealthReport, Readiness } from "../health.js";
import type { NsmClient } from "../nsm.js";
import type { Guard, Operation } from "./guard.js";
import type { Route, Target } from "./route.js";
import { checkedRoute, jsonAnswer } from "./route.js";

export interface RouterOptions {
  /** The operations that the parent may see answers of. */
  readonly openToParent: readonly string[];
  readonly nsm: Pick<NsmClient, "attest">;
  /** The keys that documents bind; with the key of the connection where a request came over TLS. */
  readonly endpointKeys: (connectionKey: Uint8Array | undefined) => EndpointKeys;
  /** Whether other enclaves open what is sealed to this one: told beside documents, for clients to choose a way by. */
  readonly sealedKeysAreShared: boolean;
  readonly guard: Guard;
  readonly operations: readonly Operation[];
  readonly readiness: Pick<Readiness, "assertReady">;
  readonly health: () => HealthReport;
}

/** Nonces of `GET /attestation`: long enough not to be guessed, short enough for every verifier (PROTOCOL: 512). */
const MIN_NONCE_BYTES = 16;
const MAX_NONCE_BYTES = 512;

export class Router {
  readonly #openToParent: ReadonlySet<string>;
  readonly #open: ReadonlyMap<string, Route>;
  readonly #operations: ReadonlyMap<string, Route>;

  constructor(options: RouterOptions) {
    const { guard, operations, openToParent } = options;
    this.#openToParent = new Set(openToParent);
    this.#open = openRoutes(options);
    this.#operations = new Map(operations.map((operation) => [`/v1/${operation.name}`, guard.route(operation)]));
  }

  /**
   * The route of a request on `channel`.
   * @throws ServiceError ERR_NOT_FOUND, ERR_METHOD_NOT_ALLOWED, ERR_CHANNEL_CLOSED, ERR_CONTENT_TYPE.
   */
  match(channel: Channel, target: Target): Route {
    const operation = this.#operations.get(target.path);
    const route = operation ?? this.#open.get(target.path);
    if (route === undefined) throw new ServiceError("ERR_NOT_FOUND", "expected the path of an operation");
    checkedRoute(route, target);
    if (operation && channel === "parent" && !this.#openToParent.has(operation.name)) {
      throw new ServiceError("ERR_CHANNEL_CLOSED", `expected channels.parent to name ${operation.name}, it does not`);
    }
    return route;
  }
}

function openRoutes({ nsm, endpointKeys, sealedKeysAreShared, readiness, health }: RouterOptions): Map<string, Route> {
  const get = { method: "GET", contentTypes: [], guarded: false, idempotent: true } as const;
  const attestation: Route = {
    ...get,
    name: "attestation",
    always: false,
    serve: async ({ query, connectionKey }) =>
      jsonAnswer(await attest(nsm, query, { keys: endpointKeys(connectionKey()), sealedKeysAreShared })),
  };
  const healthz: Route = { ...get, name: "healthz", always: true, serve: async () => jsonAnswer(health()) };
  const readyz: Route = {
    ...get,
    name: "readyz",
    always: true,
    serve: async () => {
      await readiness.assertReady();
      return jsonAnswer({ ready: true });
    },
  };
  return new Map([attestation, healthz, readyz].map((route) => [`/${route.name}`, route]));
}

/** A fresh document for a caller's nonce, which binds `keys`. */
async function attest(
  nsm: Pick<NsmClient, "attest">,
  query: URLSearchParams,
  { keys, sealedKeysAreShared }: { readonly keys: EndpointKeys; readonly sealedKeysAreShared: boolean },
): Promise<AttestationResponse> {
  const nonce = parseNonce(query);
  const userData = await endpointKeysUserData(keys);
  const document = await nsm.attest({ nonce, publicKey: null, userData }, "caller");
  return {
    document: toBase64(document),
    keyConfigurations: toBase64(keys.keyConfigurations),
    ...(sealedKeysAreShared ? { shared: true as const } : {}),
    ...(keys.tlsKey ? { tlsKey: toBase64(keys.tlsKey) } : {}),
  };
}

function parseNonce(query: URLSearchParams): Uint8Array {
  const [text, ...more] = query.getAll("nonce");
  const nonce = text === undefined ? undefined : fromBase64Url(text);
  const isAlone = more.length === 0 && [...query.keys()].length === 1;
  if (isAlone && nonce !== undefined && nonce.length >= MIN_NONCE_BYTES && nonce.length <= MAX_NONCE_BYTES)
    return nonce;
  throw new ServiceError(
    "ERR_MESSAGE_MALFORMED",
    `nonce: expected unpadded base64url of ${MIN_NONCE_BYTES} to ${MAX_NONCE_BYTES} bytes, and nothing else`,
  );
}
