/**
 * A reader for the BER that AWS KMS writes in CMS structures (X.690 §8): a cursor that is told which element must come
 * next, so the nesting is that of the calling code and never that of the input, and nothing is allocated ahead of a
 * check.
 *
 * Taken: low tag numbers; definite lengths; indefinite lengths on constructed elements, closed by end-of-contents octets.
 * Refused although BER allows them: lengths that are not minimal, or of more than two length octets (64 KiB is ten times
 * what KMS may send). Every genuine envelope seen has minimal lengths, and one way to write a length is one way fewer for
 * two readers to disagree. Strict DER, for certificates, is der.ts.
 */
import { equalBytes, toHex } from "./bytes.js";
import { ServiceError } from "./errors.js";

export const TAG = {
  integer: 0x02,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  sequence: 0x30,
  set: 0x31,
  /** [n] that holds a primitive value. */
  contextPrimitive: (n: number) => 0x80 | n,
  /** [n] that holds other elements. */
  contextConstructed: (n: number) => 0xa0 | n,
} as const;

const INDEFINITE = -1;

export class BerReader {
  readonly #bytes: Uint8Array;
  /** Where this element's contents end; for an indefinite length, where its parent's end. */
  readonly #end: number;
  readonly #indefinite: boolean;
  #position: number;

  private constructor(bytes: Uint8Array, start: number, end: number, indefinite: boolean) {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    this.#indefinite = indefinite;
  }

  /**
   * Reads the whole of `bytes` with `read`.
   * @throws ServiceError ERR_CMS_MALFORMED, also when `read` leaves bytes unread.
   */
  static readAll<T>(bytes: Uint8Array, read: (reader: BerReader) => T): T {
    const reader = new BerReader(bytes, 0, bytes.length, false);
    const value = read(reader);
    reader.#expectEnd();
    return value;
  }

  /** Enters the constructed element `tag`, reads all of its contents with `read`, and leaves it. */
  constructed<T>(tag: number, read: (contents: BerReader) => T): T {
    const length = this.#header(tag);
    const indefinite = length === INDEFINITE;
    const end = indefinite ? this.#end : this.#position + length;
    const contents = new BerReader(this.#bytes, this.#position, end, indefinite);
    const value = read(contents);
    contents.#expectEnd();
    this.#position = contents.#position;
    return value;
  }

  /** The contents of the primitive element `tag`: a view on the input. */
  primitive(tag: number): Uint8Array {
    const length = this.#header(tag);
    if (length === INDEFINITE) throw malformed(`primitive element ${hexByte(tag)} has an indefinite length`);
    const contents = this.#bytes.subarray(this.#position, this.#position + length);
    this.#position += length;
    return contents;
  }

  /** As `primitive`, of exactly `length` bytes. */
  primitiveOf(tag: number, length: number, what: string): Uint8Array {
    const contents = this.primitive(tag);
    if (contents.length !== length) throw malformed(`${what} is not ${length} bytes long`);
    return contents;
  }

  /** Reads the primitive element `tag` and insists on its contents. */
  expect(tag: number, contents: Uint8Array, what: string): void {
    if (!equalBytes(this.primitive(tag), contents)) throw malformed(`${what} is not ${toHex(contents)}`);
  }

  /** Whether these contents go on: in the indefinite form, whether something other than end-of-contents comes next. */
  hasMore(): boolean {
    return this.#position < this.#end && !(this.#indefinite && this.#bytes[this.#position] === 0);
  }

  /** The tag of the next element, or undefined at the end of the contents. */
  peek(): number | undefined {
    return this.hasMore() ? this.#bytes[this.#position] : undefined;
  }

  #header(tag: number): number {
    if (this.peek() !== tag) throw malformed(`expected element ${hexByte(tag)} ${cameInstead(this.peek())}`);
    this.#position += 1;
    const length = this.#length();
    if (length === INDEFINITE) return length;
    if (length > this.#end - this.#position) throw malformed(`element ${hexByte(tag)} is longer than what holds it`);
    return length;
  }

  /** X.690 §8.1.3, restricted as the module comment says. */
  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    if (first === 0x80) return INDEFINITE;
    if (first > 0x82) throw malformed("a length has more than two length octets");
    const length = first === 0x81 ? this.#byte() : this.#byte() * 0x100 + this.#byte();
    if (length < (first === 0x81 ? 0x80 : 0x100)) throw malformed("a length is not minimal");
    return length;
  }

  #byte(): number {
    const byte = this.#position < this.#end ? this.#bytes[this.#position] : undefined;
    if (byte === undefined) throw malformed("the input ends inside an element");
    this.#position += 1;
    return byte;
  }

  /** X.690 §8.1.5: the end of the contents, or the two zero octets that mark it. */
  #expectEnd(): void {
    if (this.hasMore()) throw malformed("an element holds more than expected");
    if (!this.#indefinite) return;
    if (this.#byte() !== 0 || this.#byte() !== 0) throw malformed("end-of-contents octets are not 00 00");
  }
}

/** A structural refusal. */
export const malformed = (message: string): ServiceError => new ServiceError("ERR_CMS_MALFORMED", message);

const hexByte = (byte: number): string => `0x${toHex(Uint8Array.of(byte))}`;

const cameInstead = (tag: number | undefined): string =>
  tag === undefined ? "where the contents end" : `and found ${hexByte(tag)}`;
