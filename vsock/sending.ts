/** What a socket is writing: pieces in their order, and how far it has come. */

/** Neighbours up to this size together become one piece: a header and its body need not be two writes. */
const JOINED_MAX_BYTES = 32_768;

export class Sending {
  readonly callback: (error?: Error | null) => void;
  readonly #pieces: readonly Uint8Array[];
  #index = 0;
  #offset = 0;

  constructor(chunks: readonly Uint8Array[], callback: (error?: Error | null) => void) {
    this.#pieces = chunks.length === 1 ? chunks : join(chunks);
    this.callback = callback;
  }

  /** The piece that is being sent, undefined when all are. */
  get bytes(): Uint8Array | undefined {
    return this.#pieces[this.#index];
  }

  /** How many of its bytes are sent. */
  get offset(): number {
    return this.#offset;
  }

  /** Counts `length` more bytes as sent. */
  advance(length: number): void {
    this.#offset += length;
    if (this.#offset < (this.bytes?.length ?? 0)) return;
    this.#index += 1;
    this.#offset = 0;
  }
}

function join(chunks: readonly Uint8Array[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let group: Uint8Array[] = [];
  let length = 0;
  for (const chunk of chunks) {
    if (length > 0 && length + chunk.length > JOINED_MAX_BYTES) {
      pieces.push(concat(group));
      group = [];
      length = 0;
    }
    group.push(chunk);
    length += chunk.length;
  }
  if (group.length > 0) pieces.push(concat(group));
  return pieces;
}

const concat = (group: readonly Uint8Array[]): Uint8Array =>
  group.length === 1 && group[0] !== undefined ? group[0] : Buffer.concat(group);
