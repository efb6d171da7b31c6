/**
 * HTTP with bounds, on the platform's `fetch`: a limit on the answer's size, no redirects, no cookies, no cache. Who
 * answers is not trusted to be quick, short or well-formed; deadlines come with the signal.
 */
import { concatBytes } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";

export interface HttpOptions {
  /** Ends with a slash. */
  readonly baseUrl: URL;
  readonly fetch: typeof fetch;
}

export interface HttpRequest {
  readonly method: "GET" | "POST";
  /** Relative to the base URL. */
  readonly path: string;
  readonly content?: { readonly type: string; readonly bytes: Uint8Array<ArrayBuffer> };
  readonly maxResponseBytes: number;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** Without parameters, in lower case; empty where there is none. */
  readonly contentType: string;
  /** `Content-Location` (RFC 9110 §8.7), as it came. */
  readonly contentLocation: string | undefined;
  readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * Sends a request and returns the whole answer, whatever its status.
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE (no answer, or it was cut; the cause is the platform's),
 *   ERR_MESSAGE_TOO_LARGE (the answer).
 */
export async function exchange(options: HttpOptions, request: HttpRequest): Promise<HttpAnswer> {
  const response = await send(options, request);
  const [type = ""] = (response.headers.get("content-type") ?? "").split(";");
  return {
    status: response.status,
    contentType: type.trim().toLowerCase(),
    contentLocation: response.headers.get("content-location") ?? undefined,
    body: await readBody(response, request),
  };
}

async function send(
  { fetch, baseUrl }: HttpOptions,
  { method, path, content, signal }: HttpRequest,
): Promise<Response> {
  const body = content ? { body: content.bytes, headers: { "content-type": content.type } } : {};
  const policy = { redirect: "error", credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" } as const;
  try {
    return await fetch(new URL(path, baseUrl), { method, ...body, ...policy, signal });
  } catch (cause) {
    throw new ServiceError("ERR_ENCLAVE_UNAVAILABLE", `no answer from ${baseUrl.origin}`, { cause });
  }
}

/** Reading stops at the limit: what is beyond it is never held. */
async function readBody(
  response: Response,
  { maxResponseBytes, signal }: HttpRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  const abort = (): void => void reader.cancel(signal.reason).catch(() => undefined); // its read has failed already
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort(); // between the head of the answer and here
  try {
    return await readAtMost(reader, maxResponseBytes);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function readAtMost(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
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
