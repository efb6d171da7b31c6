/**
 * What a request's control data and a message's fields may be in Binary HTTP: RFC 9292 §3.4 and §3.6, which refer to
 * RFC 9113 §8.2 and §8.3, held to the grammars of RFC 9110 and RFC 3986, and bounded.
 *
 * Stricter than RFC 9292: fields that belong to a connection are refused, not ignored, for they can only mislead whoever
 * passes the message on; so are all pseudo-fields, control characters in values, and paths that RFC 3986 does not allow.
 * Called by both halves of bhttp.ts: the writer makes nothing that the reader refuses.
 */

/** Name and value of one field line. Names are lower-case; a value's characters are bytes (ISO 8859-1). */
export type BinaryField = readonly [name: string, value: string];

/** Of all field sections of a message together, those of informational responses included. */
export const MAX_FIELD_LINES = 64;
/** Of names and values together. */
export const MAX_FIELD_BYTES = 16 * 1024;

/** RFC 9110 §5.1 and §5.6.2: a token; RFC 9113 §8.2.1: in lower case. A leading `:` is no token, so no pseudo-fields. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110 §5.5: visible characters and obs-text, with spaces and tabs between them. */
const FIELD_VALUE = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;
/** RFC 9110 §7.6.1. */
const CONNECTION_FIELDS = ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/** What is wrong with a field line, or undefined. */
export function faultOfField([name, value]: BinaryField): string | undefined {
  if (!FIELD_NAME.test(name)) return "a field's name is not a lower-case token";
  if (CONNECTION_FIELDS.includes(name)) return "a field belongs to a connection";
  if (!FIELD_VALUE.test(value)) return "a field's value is not one that HTTP allows";
  return undefined;
}

/** What a message may still spend on fields. */
export class FieldBudget {
  #lines = MAX_FIELD_LINES;
  #bytes = MAX_FIELD_BYTES;

  /** Takes one field line off. Says what is wrong when that is too much. */
  spend(bytes: number): string | undefined {
    this.#lines -= 1;
    this.#bytes -= bytes;
    if (this.#lines < 0) return `expected at most ${MAX_FIELD_LINES} fields`;
    return this.#bytes < 0 ? `expected at most ${MAX_FIELD_BYTES} bytes of fields` : undefined;
  }
}

/** Method and target of a request (RFC 9292 §3.4). */
export interface RequestControl {
  readonly method: string;
  readonly scheme: string;
  /** Host and port; empty when a `host` field says it, or nothing does. */
  readonly authority: string;
  /** Path and query. */
  readonly path: string;
}

/** The parts in the order of the wire. */
export const CONTROL_PARTS = ["method", "scheme", "authority", "path"] as const;

const CONTROL_RULES: Readonly<Record<keyof RequestControl, { readonly maxBytes: number; readonly form: RegExp }>> = {
  /** RFC 9110 §9.1: a token, in either case. */
  method: { maxBytes: 32, form: /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/ },
  /** RFC 3986 §3.1, in lower case as §3.1 recommends. */
  scheme: { maxBytes: 32, form: /^[a-z][a-z0-9+\-.]*$/ },
  /** RFC 3986 §3.2 without user information, which RFC 9113 §8.3.1 forbids. */
  authority: { maxBytes: 320, form: /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:[\]]|%[0-9A-Fa-f]{2})*$/ },
  /** RFC 3986 §3.3 and §3.4: an absolute path, and a query. */
  path: { maxBytes: 4096, form: /^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$/ },
};

/** Bytes that `part` may have. */
export const maxControlBytes = (part: keyof RequestControl): number => CONTROL_RULES[part].maxBytes;

/** What is wrong with `text` as a `part` of the control data, or undefined. */
export function faultOfControl(part: keyof RequestControl, text: string): string | undefined {
  const { maxBytes, form } = CONTROL_RULES[part];
  if (text.length > maxBytes) return `expected at most ${maxBytes} bytes of ${part}, got ${text.length}`;
  return form.test(text) ? undefined : `the ${part} is not of the form that HTTP allows`;
}

/** RFC 9292 §3.5. */
export const isFinalStatus = (status: number): boolean => status >= 200 && status <= 599;

/** RFC 9292 §3.5.1. */
export const isInformationalStatus = (status: number): boolean => status >= 100 && status <= 199;
