/**
 * A cursor over bytes for formats of fixed fields, QUIC integers and length prefixes (RFC 9000 §16; RFC 8446 §3.4). Nothing
 * is copied: what it hands out are views, so a length is held against the bytes that are there before anything is made of
 * it. Called by bhttp.ts and ohttp/.
 */
import type { ServiceError } from "./errors.js";

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #malformed: (message: string) => ServiceError;
  #position = 0;

  /** @param malformed makes the refusal, with the code of the format that is read. */
  constructor(bytes: Uint8Array, malformed: (message: string) => ServiceError) {
    this.#bytes = bytes;
    this.#malformed = malformed;
  }

  get atEnd(): boolean {
    return this.remaining === 0;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  /** The next `length` bytes, as a view. @throws what the constructor was given, when there are fewer. */
  take(length: number): Uint8Array {
    if (length > this.remaining) throw this.#malformed(`the input ends inside a field, at byte ${this.#bytes.length}`);
    const taken = this.#bytes.subarray(this.#position, this.#position + length);
    this.#position += length;
    return taken;
  }

  /** A reader of the next `length` bytes alone. */
  within(length: number): ByteReader {
    return new ByteReader(this.take(length), this.#malformed);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  /** An unsigned integer of `length` bytes, at most 6, in network byte order. */
  uint(length: number): number {
    return fold(0, this.take(length));
  }

  /**
   * A variable-length integer (RFC 9000 §16) of 0 to 2^62-1, in any of its lengths. Above 2^53 the number is a neighbour of
   * the integer: no limit tells the two apart, and no input has that many bytes.
   */
  varint(): number {
    const first = this.uint(1);
    const following = this.take((1 << (first >> 6)) - 1);
    return fold(first & 0x3f, following);
  }
}

/** Big-endian, by multiplication: bit operators would cut the value to 32 bits. */
const fold = (high: number, bytes: Uint8Array): number => bytes.reduce((value, byte) => value * 0x100 + byte, high);
