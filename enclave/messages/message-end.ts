/**
 * Where a message ends (AWS Encryption SDK developer guide, "message format", version 2). The SDK does not ask: what follows
 * the last frame it collects in memory without a bound, in case it is a signature, and where there is none it is not looked
 * at (PITFALLS 15, 18). Only lengths are read here; whether they are true the SDK finds out, which is given the same bytes.
 */
import { ServiceError } from "../../shared/errors.js";

/** The next bytes: `read` are handed to the layout, the others it passes over. */
interface Step {
  readonly read: boolean;
  readonly bytes: number;
}

const read = (bytes: number): Step => ({ read: true, bytes });
const skip = (bytes: number): Step => ({ read: false, bytes });

const VERSION = 2;
const SIGNED_SUITE = 0x0578;
const FRAMED = 2;
const LAST_FRAME = 0xffff_ffff;
const [MESSAGE_ID_BYTES, COMMITMENT_BYTES, IV_BYTES, TAG_BYTES] = [32, 32, 12, 16];

/** What a step has read is good until the next one. */
function* layout(maxPartBytes: number): Generator<Step, void, DataView> {
  const start = yield read(3);
  const [version, suite] = [start.getUint8(0), start.getUint16(1)];
  if (version !== VERSION) {
    yield skip(Number.POSITIVE_INFINITY); // which the SDK refuses
    return;
  }
  yield skip(MESSAGE_ID_BYTES);
  yield* block(); // encryption context
  const keys = (yield read(2)).getUint16(0);
  for (let field = 0; field < 3 * keys; field++) yield* block();
  const content = yield read(5);
  const [isFramed, frameLength] = [content.getUint8(0) === FRAMED, content.getUint32(1)];
  yield skip(COMMITMENT_BYTES + TAG_BYTES);
  yield* isFramed ? frames(bounded(frameLength, maxPartBytes)) : unframed(maxPartBytes);
  if (suite === SIGNED_SUITE) yield* block();
}

function* block(): Generator<Step, void, DataView> {
  yield skip((yield read(2)).getUint16(0));
}

function* frames(frameLength: number): Generator<Step, void, DataView> {
  while ((yield read(4)).getUint32(0) !== LAST_FRAME) yield skip(IV_BYTES + frameLength + TAG_BYTES);
  yield skip(4 + IV_BYTES); // its number
  yield skip((yield read(4)).getUint32(0) + TAG_BYTES);
}

function* unframed(maxPartBytes: number): Generator<Step, void, DataView> {
  yield skip(IV_BYTES);
  yield skip(bounded(Number((yield read(8)).getBigUint64(0)), maxPartBytes) + TAG_BYTES);
}

function bounded(bytes: number, maxPartBytes: number): number {
  if (bytes <= maxPartBytes) return bytes;
  throw new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected frames of at most ${maxPartBytes} bytes in a stream`);
}

/** Follows one message to its end. */
export class MessageEnd {
  readonly #layout: ReturnType<typeof layout>;
  /** Bytes for the layout, of which `#held` are there. */
  readonly #bytes = new Uint8Array(8);
  #held = 0;
  #step: Step | undefined;
  #left: number;

  /** @param maxPartBytes what is authenticated at once, a frame or the contents of an unframed message, may be so long. */
  constructor(maxPartBytes = Number.POSITIVE_INFINITY) {
    this.#layout = layout(maxPartBytes);
    this.#step = this.#layout.next().value || undefined;
    this.#left = this.#step?.bytes ?? 0;
  }

  /**
   * Takes the next bytes.
   * @throws ServiceError ERR_MESSAGE_MALFORMED when there are more than the message has, ERR_MESSAGE_TOO_LARGE (a part of it).
   */
  take(part: Uint8Array): void {
    for (let at = 0; at < part.length; ) {
      if (this.#step === undefined)
        throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected the message to end, it goes on");
      const taken = part.subarray(at, at + Math.min(this.#left, part.length - at));
      if (this.#step.read) this.#bytes.set(taken, this.#held);
      this.#held += this.#step.read ? taken.length : 0;
      this.#left -= taken.length;
      at += taken.length;
      while (this.#left === 0 && this.#step !== undefined) this.#advance();
    }
  }

  #advance(): void {
    const next = this.#layout.next(new DataView(this.#bytes.buffer, 0, this.#held));
    this.#step = next.value || undefined;
    this.#left = this.#step?.bytes ?? 0;
    this.#held = 0;
  }
}

/** `message`, of which nothing is passed on that follows its end. @throws ServiceError as `MessageEnd.take`. */
export async function* toItsEnd(message: AsyncIterable<Uint8Array>, maxPartBytes: number): AsyncGenerator<Uint8Array> {
  const end = new MessageEnd(maxPartBytes);
  for await (const part of message) {
    end.take(part);
    yield part;
  }
}
