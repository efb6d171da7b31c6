/** A look at how a stream begins, without losing it. */
import { concatBytes } from "../shared/bytes.js";

export interface StreamStart {
  /** The first bytes: at least as many as were asked for, or all there are. */
  readonly start: Uint8Array;
  /** The whole stream, these bytes first. */
  readonly all: AsyncIterable<Uint8Array>;
}

/** Reads `stream` until `bytes` of it are there. */
export async function startOf(stream: AsyncIterable<Uint8Array>, bytes: number): Promise<StreamStart> {
  const iterator = stream[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let length = 0;
  let isDone = false;
  while (length < bytes && !isDone) {
    const { done = false, value } = await iterator.next();
    isDone = done;
    if (value) parts.push(value);
    length += value?.length ?? 0;
  }
  const start = concatBytes(...parts);
  async function* all(): AsyncGenerator<Uint8Array> {
    yield start;
    if (!isDone) yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { start, all: all() };
}
