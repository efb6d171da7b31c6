/** Byte streams on their way through the SDK's. */
import type { Duplex } from "node:stream";
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { EncryptionContext, MessageHeader } from "@aws-crypto/client-node";
import { ServiceError } from "../../shared/errors.js";
import type { Attempt } from "./attempt.js";

/** `message`; a failure of whoever sends it is noted as what it is. */
export async function* watched(source: AsyncIterable<Uint8Array>, attempt: Attempt): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    attempt.note(error);
    throw error;
  }
}

/**
 * `message`, whose header is passed on in parts of which each is as large as all before it: with every part the SDK reads the
 * header anew from its beginning, and of one that drips in byte by byte it would read all of it for each byte.
 */
export async function* inGrowingParts(
  message: AsyncIterable<Uint8Array>,
  attempt: Attempt,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let passedBytes = 0;
  for await (const part of message) {
    held.push(part);
    heldBytes += part.length;
    if (!attempt.headerParsed && heldBytes < passedBytes) continue;
    yield held.length === 1 ? part : Buffer.concat(held);
    passedBytes += heldBytes;
    held = [];
    heldBytes = 0;
  }
  if (held.length > 0) yield Buffer.concat(held);
}

export interface Transformed {
  readonly encryptionContext: EncryptionContext;
  /** Read no faster than it is taken. */
  readonly output: AsyncIterable<Uint8Array>;
}

export interface TransformOptions {
  /** What an error of the SDK's stands for. */
  readonly failure: (error: unknown) => unknown;
  readonly signal: AbortSignal | undefined;
}

/** Sends a message through `stream`, one of the SDK's that open; returns once it has its header. @throws what `failure` makes of an error. */
export async function opened(
  message: AsyncIterable<Uint8Array>,
  stream: Duplex,
  options: TransformOptions,
): Promise<Transformed> {
  const { signal } = options;
  const output = new PassThrough();
  const header = new Promise<MessageHeader>((resolve) => {
    stream.once("MessageHeader", resolve);
  });
  stream.on("error", ignored); // the pipeline listens while it runs; what comes after it is of nobody's interest
  const done = pipeline(Readable.from(message, { objectMode: false }), stream, output, signal ? { signal } : {});
  done.catch(ignored); // `output` is destroyed with the same error, and whoever reads it is told
  try {
    const { encryptionContext } = await Promise.race([header, done.then(ended)]);
    return { encryptionContext: { ...encryptionContext }, output: partsOf(output, options) };
  } catch (error) {
    throw failureOf(error, options);
  }
}

export const ignored = (): undefined => undefined;

const ended = (): never => {
  throw new Error("the message ended within its header");
};

/** What comes of `output`. @throws what `failure` makes of an error. */
export async function* partsOf(output: Readable, options: TransformOptions): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of output) yield part;
  } catch (error) {
    throw failureOf(error, options);
  }
}

/** Why a stream failed: because nobody waits for it any more, or what `failure` makes of it. */
export function failureOf(error: unknown, { failure, signal }: TransformOptions): unknown {
  if (!signal?.aborted) return failure(error);
  const { reason } = signal;
  if (reason instanceof ServiceError) return reason;
  return new ServiceError("ERR_TIMEOUT", "nobody waits for the message any more", { cause: reason });
}
