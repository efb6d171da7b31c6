/**
 * Binary HTTP (RFC 9292): a whole HTTP request or response as one byte string, the plaintext of a sealed message.
 *
 * Read: both framings, known-length (§3.1) and indeterminate-length (§3.2); integers in any of their lengths (§3);
 * informational responses, which are checked and left out (§3.5.1); messages that are cut off where a section would begin,
 * and padding of zeros (§3.8). Written: the known-length framing, in full. Refused: everything else. What control data and
 * fields may be, and how many, stands in bhttp-rules.ts. Every length is held against the input and the limits before
 * anything is allocated.
 *
 * Not checked: that a `content-length` or `host` field agrees with the rest. Take the content and the target from the
 * message itself.
 */
import type { BinaryField, RequestControl } from "./bhttp-rules.js";
import {
  CONTROL_PARTS,
  FieldBudget,
  faultOfControl,
  faultOfField,
  isFinalStatus,
  isInformationalStatus,
  maxControlBytes,
} from "./bhttp-rules.js";
import type { Framing } from "./bhttp-sections.js";
import { indeterminateLength, knownLength, malformed, toLatin1 } from "./bhttp-sections.js";
import { ByteReader } from "./byte-reader.js";
import { encodeVarint } from "./byte-writer.js";
import { concatBytes, isAllZero } from "./bytes.js";

/** What requests and responses have in common. */
interface Sections {
  readonly fields: readonly BinaryField[];
  readonly content: Uint8Array<ArrayBuffer>;
  readonly trailers: readonly BinaryField[];
}

export interface BinaryRequest extends RequestControl, Sections {}

export interface BinaryResponse extends Sections {
  /** 200 to 599. */
  readonly status: number;
}

export interface BinaryHttpLimits {
  /** A content of more bytes is ERR_MESSAGE_TOO_LARGE. */
  readonly maxContentBytes: number;
}

/** Framing indicators (RFC 9292 §3.3) of the known-length forms; the indeterminate-length ones are 2 more. */
const REQUEST = 0;
const RESPONSE = 1;
const INDETERMINATE = 2;

/** Informational responses have no use here but to be skipped. */
const MAX_INFORMATIONAL_RESPONSES = 16;

/**
 * Reads a request. Strings are as they stood in the message: nothing is normalised, and repeated fields stay apart.
 * @throws ServiceError ERR_BHTTP_MALFORMED, ERR_MESSAGE_TOO_LARGE.
 */
export function parseBinaryRequest(bytes: Uint8Array, limits: BinaryHttpLimits): BinaryRequest {
  const reader = new ByteReader(bytes, malformed);
  const framing = readFraming(reader, REQUEST);
  const [method, scheme, authority, path] = [
    readControl(reader, "method"),
    readControl(reader, "scheme"),
    readControl(reader, "authority"),
    readControl(reader, "path"),
  ];
  return { method, scheme, authority, path, ...readSections(reader, framing, new FieldBudget(), limits) };
}

/**
 * Reads a response; informational responses before the final one are checked and left out.
 * @throws ServiceError ERR_BHTTP_MALFORMED, ERR_MESSAGE_TOO_LARGE.
 */
export function parseBinaryResponse(bytes: Uint8Array, limits: BinaryHttpLimits): BinaryResponse {
  const reader = new ByteReader(bytes, malformed);
  const framing = readFraming(reader, RESPONSE);
  const budget = new FieldBudget();
  const status = readFinalStatus(reader, framing, budget);
  return { status, ...readSections(reader, framing, budget, limits) };
}

/** RFC 9292 §3.3. */
function readFraming(reader: ByteReader, kind: typeof REQUEST | typeof RESPONSE): Framing {
  const indicator = reader.varint();
  if (indicator === kind) return knownLength;
  if (indicator === kind + INDETERMINATE) return indeterminateLength;
  throw malformed(`the framing indicator is not that of a ${kind === REQUEST ? "request" : "response"}`);
}

/** RFC 9292 §3.4. */
function readControl(reader: ByteReader, part: keyof RequestControl): string {
  const length = reader.varint();
  // before the bytes become characters: faultOfControl would be too late for a string of megabytes
  if (length > maxControlBytes(part)) throw malformed(`expected at most ${maxControlBytes(part)} bytes of ${part}`);
  const text = toLatin1(reader.take(length));
  const fault = faultOfControl(part, text);
  if (fault) throw malformed(fault);
  return text;
}

/** RFC 9292 §3.5. */
function readFinalStatus(reader: ByteReader, framing: Framing, budget: FieldBudget): number {
  for (let skipped = 0; skipped <= MAX_INFORMATIONAL_RESPONSES; skipped++) {
    const status = reader.varint();
    if (isFinalStatus(status)) return status;
    if (!isInformationalStatus(status)) throw malformed("the status is not of 100 to 599");
    framing.fields(reader, budget);
  }
  throw malformed(`expected at most ${MAX_INFORMATIONAL_RESPONSES} informational responses`);
}

/** Header, content, trailer and padding. */
function readSections(reader: ByteReader, framing: Framing, budget: FieldBudget, limits: BinaryHttpLimits): Sections {
  // RFC 9292 §3.8: a section that is not there is empty
  const fields = reader.atEnd ? [] : framing.fields(reader, budget);
  const content = reader.atEnd ? new Uint8Array(0) : framing.content(reader, limits.maxContentBytes);
  const trailers = reader.atEnd ? [] : framing.fields(reader, budget);
  if (!isAllZero(reader.rest())) throw malformed("what follows the message is not padding of zeros");
  return { fields, content, trailers };
}

/**
 * The known-length form of a request, which `parseBinaryRequest` reads back as it was.
 * @throws TypeError when the request is not one that `parseBinaryRequest` takes.
 */
export function encodeBinaryRequest(request: BinaryRequest): Uint8Array<ArrayBuffer> {
  const control = CONTROL_PARTS.map((part) => {
    const fault = faultOfControl(part, request[part]);
    if (fault) throw new TypeError(fault);
    return withLength(fromLatin1(request[part]));
  });
  return concatBytes(encodeVarint(REQUEST), ...control, ...encodeSections(request));
}

/**
 * The known-length form of a response, which `parseBinaryResponse` reads back as it was.
 * @throws TypeError when the response is not one that `parseBinaryResponse` takes.
 */
export function encodeBinaryResponse(response: BinaryResponse): Uint8Array<ArrayBuffer> {
  if (!isFinalStatus(response.status)) throw new TypeError("expected a status of 200 to 599");
  return concatBytes(encodeVarint(RESPONSE), encodeVarint(response.status), ...encodeSections(response));
}

function encodeSections({ fields, content, trailers }: Sections): Uint8Array[] {
  const budget = new FieldBudget();
  return [
    withLength(encodeFields(fields, budget)),
    encodeVarint(content.length),
    content,
    withLength(encodeFields(trailers, budget)),
  ];
}

function encodeFields(fields: readonly BinaryField[], budget: FieldBudget): Uint8Array {
  const lines = fields.flatMap((field) => {
    const [name, value] = field;
    const fault = faultOfField(field) ?? budget.spend(name.length + value.length);
    if (fault) throw new TypeError(fault);
    return [withLength(fromLatin1(name)), withLength(fromLatin1(value))];
  });
  return concatBytes(...lines);
}

const withLength = (bytes: Uint8Array): Uint8Array => concatBytes(encodeVarint(bytes.length), bytes);

/** One byte per character; the rules have seen to it that there is one. */
function fromLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
