/**
 * The routes of the enclave, apart from what carries them: a request of some channel in, an answer or a ServiceError
 * out. Attestation and health are open on every channel; operations only where the configuration opens the channel.
 */
import { fromBase64Url, toBase64, utf8 } from "../../shared/bytes.js";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import {
  dataKeyRequest,
  decryptRequest,
  MAX_MESSAGE_REQUEST_BYTES,
  MAX_REQUEST_BYTES,
  messageDecryptRequest,
  parseJson,
  randomRequest,
} from "../../shared/wire.js";
import type { Configuration } from "../configuration.js";
import type { HealthReport, Readiness } from "../health.js";
import type { NsmClient } from "../nsm.js";
import type { Operations } from "./operations.js";

/** What carries a request. */
export type Channel = "parent" | "sealed" | "tls";

export interface RoutedRequest {
  readonly query: URLSearchParams;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

export interface RoutedAnswer {
  /** JSON. The receiver's to wipe. */
  readonly body: Uint8Array;
  /** The key that answered, for the log. */
  readonly keyArn: string | undefined;
}

export interface Route {
  readonly name: string;
  readonly method: "GET" | "POST";
  /** Longest body in bytes; 0 where there is none. */
  readonly maxBodyBytes: number;
  /** Whether it is served however busy the enclave is, so that its state stays visible. */
  readonly always: boolean;
  readonly serve: (request: RoutedRequest) => Promise<RoutedAnswer>;
}

export interface RouterOptions {
  readonly channels: Configuration["channels"];
  readonly nsm: Pick<NsmClient, "attest">;
  readonly operations: Operations;
  readonly readiness: Pick<Readiness, "assertReady">;
  readonly health: () => HealthReport;
}

/** Nonces of `GET /attestation`: long enough not to be guessed, short enough for every verifier (PROTOCOL: 512). */
const MIN_NONCE_BYTES = 16;
const MAX_NONCE_BYTES = 512;

export class Router {
  readonly #channels: Configuration["channels"];
  readonly #open: ReadonlyMap<string, Route>;
  readonly #operations: ReadonlyMap<string, Route>;

  constructor(options: RouterOptions) {
    this.#channels = options.channels;
    this.#open = openRoutes(options);
    this.#operations = operationRoutes(options.operations);
  }

  /**
   * The route of a request on `channel`.
   * @throws ServiceError ERR_NOT_FOUND, ERR_METHOD_NOT_ALLOWED, ERR_CHANNEL_CLOSED.
   */
  match(channel: Channel, method: string, path: string): Route {
    const operation = this.#operations.get(path);
    const route = operation ?? this.#open.get(path);
    if (route === undefined) throw new ServiceError("ERR_NOT_FOUND", "expected the path of an operation");
    if (route.method !== method)
      throw new ServiceError("ERR_METHOD_NOT_ALLOWED", `expected the method ${route.method}`);
    if (operation && channel === "parent" && !this.#channels.parent.includes(operation.name)) {
      throw new ServiceError("ERR_CHANNEL_CLOSED", `expected channels.parent to name ${operation.name}, it does not`);
    }
    return route;
  }
}

function openRoutes({ nsm, readiness, health }: RouterOptions): Map<string, Route> {
  const get = { method: "GET", maxBodyBytes: 0 } as const;
  return new Map<string, Route>([
    [
      "/attestation",
      { ...get, name: "attestation", always: false, serve: async ({ query }) => answer(await attest(nsm, query)) },
    ],
    ["/healthz", { ...get, name: "healthz", always: true, serve: async () => answer(health()) }],
    [
      "/readyz",
      {
        ...get,
        name: "readyz",
        always: true,
        serve: async () => {
          await readiness.assertReady();
          return answer({ ready: true });
        },
      },
    ],
  ]);
}

/** A fresh document for a caller's nonce. It binds nothing else: no key, no user data. */
async function attest(nsm: Pick<NsmClient, "attest">, query: URLSearchParams): Promise<{ document: string }> {
  const [nonceText, ...more] = query.getAll("nonce");
  const nonce = nonceText === undefined ? undefined : fromBase64Url(nonceText);
  const isAlone = more.length === 0 && [...query.keys()].length === 1;
  if (!isAlone || nonce === undefined || nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES) {
    throw new ServiceError(
      "ERR_MESSAGE_MALFORMED",
      `nonce: expected unpadded base64url of ${MIN_NONCE_BYTES} to ${MAX_NONCE_BYTES} bytes, and nothing else`,
    );
  }
  return { document: toBase64(await nsm.attest({ nonce, publicKey: null, userData: null }, "caller")) };
}

function operationRoutes(operations: Operations): Map<string, Route> {
  const post = { method: "POST", maxBodyBytes: MAX_REQUEST_BYTES, always: false } as const;
  return new Map<string, Route>([
    [
      "/v1/decrypt",
      {
        ...post,
        name: "decrypt",
        serve: async ({ body, signal }) => keyed(await operations.decrypt(parse(decryptRequest, body), signal)),
      },
    ],
    [
      "/v1/data-keys",
      {
        ...post,
        name: "data-keys",
        serve: async ({ body, signal }) => keyed(await operations.generateDataKey(parse(dataKeyRequest, body), signal)),
      },
    ],
    [
      "/v1/random",
      {
        ...post,
        name: "random",
        serve: async ({ body, signal }) => answer(await operations.random(parse(randomRequest, body), signal)),
      },
    ],
    [
      "/v1/messages/decrypt",
      {
        ...post,
        maxBodyBytes: MAX_MESSAGE_REQUEST_BYTES,
        name: "messages/decrypt",
        serve: async ({ body, signal }) =>
          answer(await operations.decryptMessage(parse(messageDecryptRequest, body), signal)),
      },
    ],
  ]);
}

const MALFORMED: ErrorCode = "ERR_MESSAGE_MALFORMED";

function parse<T>(schema: Parameters<typeof parseJson<T>>[0], body: Uint8Array): T {
  return parseJson(schema, decodeUtf8(body), MALFORMED);
}

function decodeUtf8(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new ServiceError(MALFORMED, "expected the body to be UTF-8");
  }
}

const answer = (value: unknown): RoutedAnswer => ({ body: utf8(JSON.stringify(value)), keyArn: undefined });

const keyed = (value: { readonly keyId: string }): RoutedAnswer => ({ ...answer(value), keyArn: value.keyId });
