/**
 * The SDK's stream that makes a message. It is never destroyed: the two streams within it are joined in a way that throws
 * where nobody can catch it when one of them closes early, and an enclave that a client could end so would serve nobody
 * (readable-stream, `pipeline` without a callback). Whatever happens it is brought to its end; what it makes after a failure
 * goes nowhere. Its data key is left to the garbage collector: the SDK overwrites it only in streams that are destroyed.
 */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { addAbortSignal, PassThrough } from "node:stream";
import { finished } from "node:stream/promises";
import type { MessageHeader } from "@aws-crypto/client-node";
import type { Transformed, TransformOptions } from "./streams.js";
import { failureOf, ignored, partsOf } from "./streams.js";

/** Sends `plaintext` through `stream`; returns once it has its header. @throws what `failure` makes of an error. */
export async function made(
  plaintext: AsyncIterable<Uint8Array>,
  stream: Duplex,
  options: TransformOptions,
): Promise<Transformed> {
  const output = new PassThrough();
  output.on("error", ignored); // whoever reads it is told
  if (options.signal) addAbortSignal(options.signal, output);
  const header = new Promise<MessageHeader>((resolve) => void stream.once("MessageHeader", resolve));
  stream.on("error", (error) => output.destroy(error));
  const ended = finished(output).catch(ignored); // with an error or without: nothing more is taken
  const closed = ended.then(() => stream.unpipe(output).resume());
  stream.pipe(output);
  feed(plaintext, stream, { output, closed }).catch(ignored); // `output` has the error
  try {
    const { encryptionContext } = await Promise.race([header, closed.then(() => thrown(output.errored))]);
    return { encryptionContext: { ...encryptionContext }, output: partsOf(output, options) };
  } catch (error) {
    throw failureOf(error, options);
  }
}

const thrown = (error: unknown): never => {
  throw error;
};

interface Outcome {
  readonly output: PassThrough;
  /** When nothing more is taken of what is made. */
  readonly closed: Promise<unknown>;
}

async function feed(plaintext: AsyncIterable<Uint8Array>, stream: Duplex, { output, closed }: Outcome): Promise<void> {
  try {
    for await (const part of plaintext) {
      if (output.destroyed) return;
      if (!stream.write(part)) await Promise.race([once(stream, "drain"), closed]);
    }
  } catch (error) {
    output.destroy(error instanceof Error ? error : new Error("the plaintext ended early", { cause: error }));
  } finally {
    stream.end();
  }
}
