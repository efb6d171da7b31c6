/**
 * A message in its pieces, so that a test can put the pieces of two together (AWS Encryption SDK developer guide, "message
 * format", version 2). It reads what the SDK has made, and checks nothing.
 */
import { concatBytes } from "../../../shared/bytes.js";

export interface Pieces {
  /** Version, suite, message id and encryption context. */
  readonly head: Uint8Array;
  /** Count and encrypted data keys. */
  readonly dataKeys: Uint8Array;
  /** Content type, frame length, commitment key and authentication tag. */
  readonly rest: Uint8Array;
  readonly frames: readonly Uint8Array[];
  /** The signature with its length; empty where there is none. */
  readonly footer: Uint8Array;
}

const HEAD_BYTES = { fixed: 1 + 2 + 32, rest: 1 + 4 + 32 + 16 } as const;
const FRAME_BYTES = { number: 4, iv: 12, tag: 16, length: 4 } as const;
const LAST_FRAME = 0xffffffff;

export function piecesOf(message: Uint8Array): Pieces {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const contextEnd = HEAD_BYTES.fixed + 2 + view.getUint16(HEAD_BYTES.fixed);
  let at = contextEnd + 2;
  for (let keys = view.getUint16(contextEnd); keys > 0; keys--) {
    for (let field = 0; field < 3; field++) at += 2 + view.getUint16(at);
  }
  const [keysEnd, restEnd] = [at, at + HEAD_BYTES.rest];
  const frameLength = view.getUint32(keysEnd + 1);
  const frames: Uint8Array[] = [];
  at = restEnd;
  for (let isLast = false; !isLast; ) {
    isLast = view.getUint32(at) === LAST_FRAME;
    const { number, iv, tag, length } = FRAME_BYTES;
    const size = isLast
      ? 2 * number + iv + length + view.getUint32(at + 2 * number + iv) + tag
      : number + iv + frameLength + tag;
    frames.push(message.slice(at, at + size));
    at += size;
  }
  return {
    head: message.slice(0, contextEnd),
    dataKeys: message.slice(contextEnd, keysEnd),
    rest: message.slice(keysEnd, restEnd),
    frames,
    footer: message.slice(at),
  };
}

export const messageFrom = ({ head, dataKeys, rest, frames, footer }: Pieces): Uint8Array =>
  concatBytes(head, dataKeys, rest, ...frames, footer);

/** The bytes with one of them changed; from the end where `at` is negative. */
export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const changed = new Uint8Array(bytes);
  const place = at < 0 ? bytes.length + at : at;
  changed[place] = (changed[place] ?? 0) ^ 1;
  return changed;
}
