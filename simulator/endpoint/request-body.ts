/** Reading request bodies within bounds: of one request, and of all that are under way at once. */
import type { IncomingMessage } from "node:http";

/** Room for the largest attestation document in base64, and the rest of a request. */
const MAX_BODY_BYTES = 512 * 1024;
/** What unfinished requests may hold together; there are more connections than would all fit with a full body each. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;

export type BodyFailure = "too-large" | "busy" | "aborted";

export class BodyReader {
  #pendingBytes = 0;

  /** The body; or why there is none, as soon as that is known. */
  async read(request: IncomingMessage): Promise<Uint8Array | BodyFailure> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      return await new Promise((resolve) => {
        request.on("data", (chunk: Buffer) => {
          length += chunk.length;
          this.#pendingBytes += chunk.length;
          if (length > MAX_BODY_BYTES)
            resolve("too-large"); // what still comes is dropped until the connection closes
          else if (this.#pendingBytes > MAX_PENDING_BYTES) resolve("busy");
          else chunks.push(chunk);
        });
        request.on("end", () => resolve(Buffer.concat(chunks)));
        request.on("error", () => resolve("aborted"));
        request.on("close", () => resolve("aborted"));
      });
    } finally {
      request.removeAllListeners("data").resume();
      this.#pendingBytes -= length;
    }
  }
}
