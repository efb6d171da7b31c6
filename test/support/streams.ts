/** Reading a stream to its end without destroying it: an async iterator, and so `stream/consumers`, closes a duplex stream whole. */
import type { Readable } from "node:stream";

/** All bytes until the other side ends its direction; rejects when the stream breaks or closes before. */
export function collect(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("end", () => resolve(Buffer.concat(chunks)));
    stream.once("error", reject);
    stream.once("close", () => reject(new Error("the stream closed before its end")));
  });
}

/** Resolves when the other side has let go of the stream: by its end, or by an error. What it still sent is dropped. */
export function released(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ["end", "error", "close"]) stream.on(event, () => resolve());
    stream.resume();
  });
}

/** For `listenAt` in tests, which listen on Unix sockets: they have no CID. */
export const anyPeer = { allowPeer: () => true };
