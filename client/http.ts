/**
 * HTTP with bounds, on the platform's `fetch`: a total deadline, a limit on the answer's size, no redirects, no cookies,
 * no cache. Who answers is not trusted to be quick, short or well-formed. Refusals arrive as problem documents (RFC 9457)
 * and leave as the ServiceError that they stand for.
 */
import type { z } from "zod";
import { concatBytes } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import { errorOfProblem, parseJson } from "../shared/wire.js";

export interface HttpOptions {
  /** Ends with a slash. */
  readonly baseUrl: URL;
  readonly fetch: typeof fetch;
  /** From the call to the last byte of its answer. */
  readonly deadlineMs: number;
}

export interface HttpRequest<T> {
  readonly method: "GET" | "POST";
  /** Relative to the base URL. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: object;
  readonly response: z.ZodType<T>;
  readonly maxResponseBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** More than any problem document, less than any nuisance. */
const MAX_PROBLEM_BYTES = 16 * 1024;

/**
 * Sends a request and returns the answer, of the form that its schema says.
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE (no answer; the cause is the platform's), ERR_TIMEOUT,
 *   ERR_MESSAGE_TOO_LARGE and ERR_MESSAGE_MALFORMED (the answer), or the code that the other side refused with.
 * @throws the reason of `signal` when that fires.
 */
export async function requestJson<T>(options: HttpOptions, request: HttpRequest<T>): Promise<T> {
  const { signal, response: schema, maxResponseBytes } = request;
  signal?.throwIfAborted();
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(new ServiceError("ERR_TIMEOUT", `no answer within ${options.deadlineMs} ms`)),
    options.deadlineMs,
  );
  const either = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
  try {
    const response = await send(options, request, either);
    if (!response.ok) throw errorOfProblem(parseOrUndefined(await readText(response, MAX_PROBLEM_BYTES, either)));
    return parseJson(schema, await readText(response, maxResponseBytes, either), "ERR_MESSAGE_MALFORMED");
  } catch (error) {
    if (either.aborted) throw either.reason; // fetch tells it in words of its own
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function send<T>(options: HttpOptions, request: HttpRequest<T>, signal: AbortSignal): Promise<Response> {
  const { fetch, baseUrl } = options;
  const { method, path, body } = request;
  const content =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const policy = { redirect: "error", credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" } as const;
  try {
    return await fetch(new URL(path, baseUrl), { method, ...content, ...policy, signal });
  } catch (cause) {
    throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", `no answer from ${baseUrl.origin}`, { cause });
  }
}

/** The body as UTF-8 text. Reading stops at the limit: what is beyond it is never held. */
async function readText(response: Response, maxBytes: number, signal: AbortSignal): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const abort = (): void => void reader.cancel(signal.reason).catch(() => undefined); // its read has failed already
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort(); // between the head of the answer and here
  try {
    return decodeUtf8(await readAtMost(reader, maxBytes));
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function readAtMost(reader: ReadableStreamDefaultReader<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await read(reader);
    if (done) return concatBytes(...parts);
    length += value.length;
    if (length > maxBytes) {
      const error = new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected an answer of at most ${maxBytes} bytes`);
      await reader.cancel(error);
      throw error;
    }
    parts.push(value);
  }
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await reader.read();
  } catch (cause) {
    throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "the connection was lost inside an answer", { cause });
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected an answer in UTF-8");
  }
}

/** A refusal's body, which may be anything: a proxy in between may have written it. */
function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
