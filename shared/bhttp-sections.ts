/**
 * The two framings of Binary HTTP's sections, as readers: known-length (RFC 9292 §3.1) and indeterminate-length (§3.2).
 * Called by bhttp.ts.
 */
import type { BinaryField, FieldBudget } from "./bhttp-rules.js";
import { faultOfField } from "./bhttp-rules.js";
import type { ByteReader } from "./byte-reader.js";
import { copyBytes, wipe } from "./bytes.js";
import { ServiceError } from "./errors.js";

/** Of one content: a mebibyte in chunks of 256 bytes. A million of one byte each would cost more than they carry. */
const MAX_CHUNKS = 4_096;

/** A structural refusal. */
export const malformed = (message: string): ServiceError => new ServiceError("ERR_BHTTP_MALFORMED", message);

/** The part of a framing that sections are read by. */
export interface Framing {
  /** A header or trailer section. */
  fields(reader: ByteReader, budget: FieldBudget): BinaryField[];
  /** The content, as an owned copy of at most `maxBytes`. */
  content(reader: ByteReader, maxBytes: number): Uint8Array<ArrayBuffer>;
}

/** RFC 9292 §3.1: each section has its length in front. */
export const knownLength: Framing = {
  fields(reader, budget) {
    const section = reader.within(reader.varint());
    const fields: BinaryField[] = [];
    while (!section.atEnd) fields.push(readField(section, section.varint(), budget));
    return fields;
  },
  content(reader, maxBytes) {
    const length = reader.varint();
    assertContentLength(length, maxBytes);
    return copyBytes(reader.take(length));
  },
};

/** RFC 9292 §3.2: each section ends with a zero, where the length of a name or a chunk would stand. */
export const indeterminateLength: Framing = {
  fields(reader, budget) {
    const fields: BinaryField[] = [];
    for (let length = reader.varint(); length !== 0; length = reader.varint()) {
      fields.push(readField(reader, length, budget));
    }
    return fields;
  },
  content(reader, maxBytes) {
    const content = new Uint8Array(Math.min(reader.remaining, maxBytes));
    let filled = 0;
    let chunks = 0;
    for (let length = reader.varint(); length !== 0; length = reader.varint()) {
      chunks += 1;
      if (chunks > MAX_CHUNKS) throw malformed(`expected at most ${MAX_CHUNKS} chunks of content`);
      assertContentLength(filled + length, maxBytes);
      content.set(reader.take(length), filled);
      filled += length;
    }
    const whole = content.slice(0, filled);
    wipe(content);
    return whole;
  },
};

function assertContentLength(length: number, maxBytes: number): void {
  if (length > maxBytes) {
    throw new ServiceError("ERR_MESSAGE_TOO_LARGE", `expected at most ${maxBytes} bytes of content, got ${length}`);
  }
}

/** RFC 9292 §3.6: one field line, after the length of its name. */
function readField(reader: ByteReader, nameLength: number, budget: FieldBudget): BinaryField {
  const name = reader.take(nameLength);
  const value = reader.take(reader.varint());
  const excess = budget.spend(name.length + value.length);
  if (excess) throw malformed(excess);
  const field = [toLatin1(name), toLatin1(value)] as const;
  const fault = faultOfField(field);
  if (fault) throw malformed(fault);
  return field;
}

/** One character per byte. The caller has bounded the length: an argument list of some 100,000 would be too long. */
export const toLatin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
