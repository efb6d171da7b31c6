/**
 * HTTP/1.1 requests over an address, on node:http: what parent and enclave say to one another. The subset: one request,
 * one whole answer in memory. Every request has a total deadline and every answer a size limit, because the other side
 * is not trusted to be quick or short. Connections are kept and used again by an agent that belongs to the caller.
 */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { Agent, request as httpRequest } from "node:http";
import type { Duplex } from "node:stream";
import type { Address } from "../shared/address.js";
import { formatAddress } from "../shared/address.js";
import { concatBytes } from "../shared/bytes.js";
import type { ErrorCode } from "../shared/errors.js";
import { ServiceError } from "../shared/errors.js";
import { assertOpenable, openTo } from "./connect.js";

export interface AddressRequest {
  readonly method: string;
  /** Path and query, as they go on the request line. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders | undefined;
  readonly body?: Uint8Array | undefined;
  /** Time from the call to the last byte of the answer. */
  readonly deadlineMs: number;
  readonly maxResponseBytes: number;
  /** An agent made by `createAddressAgent` for the same address; without one the connection serves this request alone. */
  readonly agent?: Agent | undefined;
  /** Gives the request up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** The code under which a failing peer is reported; ERR_ADDRESS unless given. */
  readonly failureCode?: ErrorCode | undefined;
  /**
   * Whether it does no harm when the other side gets the request twice; GET is taken to be so. Such a request is sent
   * once more when a kept connection turns out to have been closed by the other side (RFC 9110 §9.2.2).
   */
  readonly idempotent?: boolean | undefined;
}

export interface AddressResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export interface AddressAgentOptions {
  /** Most connections at a time; further requests wait within their deadline. */
  readonly maxSockets?: number;
  /** How long an unused connection is kept, at most (the other side may say less). */
  readonly idleMs?: number;
}

/** An agent that keeps connections to `address`; `destroy()` it when done. @throws ServiceError ERR_ADDRESS */
export function createAddressAgent(address: string | Address, options: AddressAgentOptions = {}): Agent {
  assertOpenable(address);
  return new AddressAgent(address, true, options);
}

class AddressAgent extends Agent {
  readonly #address: string | Address;

  constructor(
    address: string | Address,
    keepAlive: boolean,
    { maxSockets = 256, idleMs = 30_000 }: AddressAgentOptions,
  ) {
    super({ keepAlive, maxSockets, maxFreeSockets: maxSockets, timeout: idleMs, scheduling: "lifo" });
    this.#address = address;
  }

  override createConnection(): Duplex {
    const connection = openTo(this.#address, { allowHalfOpen: false });
    // node:http listens while a request is under way. When the other side answers and ends before it has taken the whole
    // body, the failure to write the rest comes after that, and without a listener would end the process.
    connection.on("error", () => undefined);
    return connection;
  }
}

/**
 * Sends one request to `address` and returns the whole answer, whatever its status.
 * It does not tell who answered, and does not look at the answer's meaning.
 * @throws ServiceError ERR_TIMEOUT (deadline), `failureCode` (no listener, connection lost, answer malformed or larger
 *   than `maxResponseBytes`; the cause has the system's error), ERR_ADDRESS (the address itself).
 */
export async function requestOver(address: string | Address, options: AddressRequest): Promise<AddressResponse> {
  options.signal?.throwIfAborted();
  const agent = options.agent ?? new AddressAgent(address, false, {});
  const deadline = new AbortController();
  const name = typeof address === "string" ? address : formatAddress(address);
  const timer = setTimeout(
    () => deadline.abort(new ServiceError("ERR_TIMEOUT", `no answer from ${name} within ${options.deadlineMs} ms`)),
    options.deadlineMs,
  );
  const signal = options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal;
  const idempotent = options.idempotent ?? options.method === "GET";
  try {
    const first = await exchange(agent, options, signal);
    // A kept connection that the other side has closed says so only when it is used; the next one is a new one or at
    // least another. Each attempt uses a connection up, and the deadline bounds them all.
    let outcome = first;
    while (outcome.kind === "stale" && idempotent) outcome = await exchange(agent, options, signal);
    if (outcome.kind === "answer") return outcome.response;
    throw new ServiceError(options.failureCode ?? "ERR_ADDRESS", `no answer from ${name}`, { cause: outcome.cause });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof ServiceError) throw error;
    throw new ServiceError(options.failureCode ?? "ERR_ADDRESS", `no answer from ${name}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

type Exchange =
  | { readonly kind: "answer"; readonly response: AddressResponse }
  | { readonly kind: "stale"; readonly cause: unknown };

/** One request on one connection; "stale" when a kept connection was lost before any byte of an answer. */
function exchange(agent: Agent, options: AddressRequest, signal: AbortSignal): Promise<Exchange> {
  const { method, path, headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { "content-length": body.length };
    // "localhost": a Host header is required (RFC 9112 §3.2), and an address has no host name.
    const request = httpRequest({ agent, method, path, headers: { ...headers, ...length, host: "localhost" }, signal });
    let answering = false;
    request.once("response", (response) => {
      answering = true;
      readWhole(response, options.maxResponseBytes).then(
        (bytes) =>
          resolve({
            kind: "answer",
            response: { status: response.statusCode ?? 0, headers: response.headers, body: bytes },
          }),
        reject,
      );
    });
    request.once("upgrade", (_response, socket) => {
      socket.destroy();
      reject(new Error("expected an answer, got another protocol (101)"));
    });
    request.on("error", (cause) => {
      if (request.reusedSocket && !answering && !signal.aborted) resolve({ kind: "stale", cause });
      else reject(cause);
    });
    request.end(body);
  });
}

async function readWhole(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response) {
    if (!(part instanceof Uint8Array)) throw new TypeError("readWhole: the response has an encoding set");
    length += part.length;
    // Leaving the loop destroys the response, and with it the connection: the rest is not read.
    if (length > maxBytes) throw new Error(`expected an answer of at most ${maxBytes} bytes`);
    parts.push(part);
  }
  return concatBytes(...parts);
}
