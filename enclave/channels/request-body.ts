/**
 * The body of a node:http request, whole or as a stream (RequestBody): bounded, not read before it is asked for, and waited
 * for no longer than its signal says. Node alone does not tell that a body will not come any more: of a connection that was
 * cut before anybody read, or after the request was answered, a reader hears nothing.
 */
import type { IncomingMessage } from "node:http";
import { concatBytes, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { abortable } from "../../shared/settle.js";
import type { RequestBody } from "../operations/route.js";

export interface BodyRules {
  /** Whether the channel has bodies that are streams. */
  readonly streams: boolean;
  /** Fires when the request is over, whether or not its body has come. */
  readonly signal: AbortSignal;
}

/** The body of `request`. */
export function requestBody(request: IncomingMessage, { streams, signal }: BodyRules): RequestBody {
  return {
    whole: (maxBytes) => readWhole(request, maxBytes, signal),
    stream: () => {
      if (streams) return readParts(request, signal);
      throw new ServiceError("ERR_CONTENT_TYPE", "expected a body in JSON: this channel does not stream");
    },
  };
}

async function readWhole(request: IncomingMessage, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (signal.aborted) throw cut();
  const parts: Uint8Array[] = [];
  let length = 0;
  // Not `for await`: leaving such a loop would destroy the connection, and the refusal could not be sent.
  return new Promise<Uint8Array>((resolve, reject) => {
    const giveUp = (error: ServiceError): void => {
      request.off("data", onPart);
      reject(error);
    };
    const onPart = (part: Uint8Array): void => {
      length += part.length;
      parts.push(part);
      if (length <= maxBytes) return;
      request.pause();
      giveUp(tooLarge(maxBytes));
    };
    request.on("data", onPart);
    request.once("end", () => resolve(concatBytes(...parts)));
    request.once("error", () => giveUp(cut()));
    signal.addEventListener("abort", () => giveUp(cut()), { once: true });
  }).finally(() => wipe(...parts));
}

async function* readParts(request: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  // The connection outlives the loop, so that a refusal in the middle can still be sent.
  const parts: AsyncIterator<Uint8Array> = request.iterator({ destroyOnReturn: false });
  for (;;) {
    const next = await abortable(parts.next(), signal).catch(() => Promise.reject(cut()));
    if (next.done) return;
    yield next.value;
  }
}

const cut = (): ServiceError => new ServiceError("ERR_MESSAGE_MALFORMED", "the request ended within its body");

const tooLarge = (maxBytes: number): ServiceError =>
  new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected a body of at most ${maxBytes} bytes`);
