/** The body of a node:http request, whole or as a stream (RequestBody): bounded, and not read before it is asked for. */
import type { IncomingMessage } from "node:http";
import { concatBytes } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { RequestBody } from "../operations/route.js";

/** The body of `request`; as a stream only where the channel `streams`. */
export function requestBody(request: IncomingMessage, streams: boolean): RequestBody {
  return {
    whole: (maxBytes) => readWhole(request, maxBytes),
    stream: () => {
      if (streams) return readParts(request);
      throw new ServiceError("ERR_CONTENT_TYPE", "expected a body in JSON: this channel does not stream");
    },
  };
}

async function readWhole(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const parts: Uint8Array[] = [];
  let length = 0;
  // Not `for await`: leaving such a loop would destroy the connection, and the refusal could not be sent.
  return new Promise((resolve, reject) => {
    const onPart = (part: Uint8Array): void => {
      length += part.length;
      if (length <= maxBytes) parts.push(part);
      else {
        request.off("data", onPart).pause();
        reject(tooLarge(maxBytes));
      }
    };
    request.on("data", onPart);
    request.once("end", () => resolve(concatBytes(...parts)));
    request.once("error", () => reject(cut()));
  });
}

async function* readParts(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    // The connection outlives the loop, so that a refusal in the middle can still be sent.
    for await (const part of request.iterator({ destroyOnReturn: false })) yield part;
  } catch {
    throw cut();
  }
}

const cut = (): ServiceError => new ServiceError("ERR_MESSAGE_MALFORMED", "the request ended within its body");

const tooLarge = (maxBytes: number): ServiceError =>
  new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected a body of at most ${maxBytes} bytes`);
