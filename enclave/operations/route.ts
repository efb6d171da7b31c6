/**
 * What a channel hands to the router, and what it gets back. A request is the same thing whatever carried it: HTTP from
 * the parent, a sealed request, or TLS that ends in the enclave.
 */
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { Channel } from "../authorization/request.js";

/** The fields of a request that mean anything here; all others are ignored. */
export interface RequestFields {
  readonly authorization: string | undefined;
  readonly dpop: string | undefined;
  /** Without parameters, in lower case; empty where there is none. */
  readonly contentType: string;
  /** `encryption-context`, for bodies that are no JSON. */
  readonly encryptionContext: string | undefined;
  /** `message-options`, likewise. */
  readonly messageOptions: string | undefined;
}

export interface RoutedRequest {
  readonly channel: Channel;
  readonly requestId: string;
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly fields: RequestFields;
  readonly body: RequestBody;
  /** The key of the TLS connection that carries the request, DER SubjectPublicKeyInfo; undefined on other channels. */
  readonly connectionKey: () => Uint8Array | undefined;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Called before anything is done for a caller. @throws ServiceError ERR_REPLAYED, ERR_BUSY. */
  readonly assertFirst: () => void;
}

/** A request's body, not read yet: who asks is known before it is. It can be taken once, in one way. */
export interface RequestBody {
  /** All of it. @throws ServiceError ERR_MESSAGE_TOO_LARGE, before more than `maxBytes` are in memory; ERR_MESSAGE_MALFORMED when it is cut. */
  whole(maxBytes: number): Promise<Uint8Array>;
  /** As it comes, of any size. @throws ServiceError ERR_CONTENT_TYPE on a channel that has only whole bodies. */
  stream(): AsyncIterable<Uint8Array>;
}

export interface RoutedAnswer {
  readonly contentType: string;
  /** Whole: the receiver's to wipe. As a stream: it ends when all has been authenticated, and throws a ServiceError otherwise. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** The key that answered, for the log. */
  readonly keyArn: string | undefined;
  /** Further header fields, by lower-case name. */
  readonly fields?: Readonly<Record<string, string>>;
  /** To be called once the answer has gone, or cannot go any more. */
  readonly release?: () => void;
}

export interface Route {
  /** As in the log, in the configuration and in policies. */
  readonly name: string;
  readonly method: "GET" | "POST";
  /** The media types of its body; none where it takes no body. */
  readonly contentTypes: readonly string[];
  /** Whether it is served however busy the enclave is, so that its state stays visible. */
  readonly always: boolean;
  /** Whether it finds out who asks before it does anything; what anybody may ask takes no place from those who are known. */
  readonly guarded: boolean;
  /** Whether it does no harm when a request is served twice. */
  readonly idempotent: boolean;
  readonly serve: (request: RoutedRequest) => Promise<RoutedAnswer>;
}

/** What a route is found by. */
export interface Target {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
}

/** `route`, if it takes such a request. @throws ServiceError ERR_METHOD_NOT_ALLOWED, ERR_CONTENT_TYPE. */
export function checkedRoute(route: Route, { method, contentType }: Target): Route {
  const { contentTypes } = route;
  if (route.method !== method) throw new ServiceError("ERR_METHOD_NOT_ALLOWED", `expected the method ${route.method}`);
  if (contentTypes.length === 0 || contentTypes.includes(contentType)) return route;
  throw new ServiceError("ERR_CONTENT_TYPE", `expected a body of type ${contentTypes.join(" or ")}`);
}

export const JSON_TYPE = "application/json";

/** An answer in JSON. */
export const jsonAnswer = (value: unknown, keyArn?: string): RoutedAnswer => ({
  contentType: JSON_TYPE,
  body: utf8(JSON.stringify(value)),
  keyArn,
});
