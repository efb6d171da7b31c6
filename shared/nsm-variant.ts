/**
 * Enum variants as serde_cbor writes them: a bare text for one without fields, else a map of one entry, name → map of
 * fields. The form of all messages of the NSM (nsm.ts).
 *
 * Fields are written in the order given and read in any; an absent one is null. Refusals are ERR_NSM.
 */
import type { CborMap, CborValue, DecodedCbor } from "./cbor.js";
import { decodeCbor, encodeCbor, isCborBytes } from "./cbor.js";
import { ServiceError } from "./errors.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** nsm-lib has room for 100 characters of module_id. */
const MAX_TEXT_LENGTH = 100;

/** The one error of this format. */
export const nsmRefusal = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("ERR_NSM", message, { cause });

/** A variant with fields: {name: {field: value, …}}, fields in order of declaration. */
export const encodeVariant = (kind: string, fields: readonly (readonly [name: string, value: CborValue])[]): Bytes =>
  encodeCbor(new Map([[kind, new Map(fields)]]));

/**
 * A bare name, or name and value of the one entry of a map.
 * @throws ServiceError ERR_NSM.
 */
export function decodeVariant(bytes: Uint8Array, maxBytes: number): { kind: string; value: DecodedCbor | undefined } {
  const message = decodeItem(bytes, maxBytes);
  if (typeof message === "string") return { kind: message, value: undefined };
  const [entry, ...others] = message instanceof Map ? message : [];
  if (entry === undefined || others.length > 0) throw nsmRefusal("message is neither a text nor a map of one entry");
  const [kind, value] = entry;
  if (typeof kind !== "string" || value === undefined) throw nsmRefusal("message is not named by a text");
  return { kind, value };
}

function decodeItem(bytes: Uint8Array, maxBytes: number): DecodedCbor {
  try {
    return decodeCbor(bytes, { maxBytes });
  } catch (cause) {
    if (cause instanceof ServiceError) throw nsmRefusal(`message is not strict CBOR: ${cause.message}`, cause);
    throw cause;
  }
}

/** Asserts that a variant came as a bare name. */
export function assertUnit(kind: string, value: DecodedCbor | undefined): void {
  if (value !== undefined) throw nsmRefusal(`${kind} takes no fields`);
}

/** The fields of a variant. With `names`, no others may be there. */
export function fieldsOf(kind: string, value: DecodedCbor | undefined, names?: readonly string[]): Fields {
  if (!(value instanceof Map)) throw nsmRefusal(`${kind} has no map of fields`);
  for (const name of names === undefined ? [] : value.keys()) {
    if (!names?.some((known) => known === name)) throw nsmRefusal(`${kind} has a field that it does not know`);
  }
  return new Fields(kind, value);
}

/** Typed access to the fields of one message, whatever their order. */
export class Fields {
  readonly #kind: string;
  readonly #values: CborMap<Bytes>;

  constructor(kind: string, values: CborMap<Bytes>) {
    this.#kind = kind;
    this.#values = values;
  }

  integer(name: string, max: number): number {
    return this.#integer(name, this.#values.get(name), max);
  }

  integers(name: string, max: number): number[] {
    const value = this.#values.get(name);
    if (!Array.isArray(value)) throw this.#wrong(name, "an array");
    return value.map((item: DecodedCbor) => this.#integer(name, item, max));
  }

  boolean(name: string): boolean {
    const value = this.#values.get(name);
    if (typeof value !== "boolean") throw this.#wrong(name, "a boolean");
    return value;
  }

  text(name: string): string {
    const value = this.#values.get(name);
    if (typeof value !== "string" || value.length > MAX_TEXT_LENGTH) {
      throw this.#wrong(name, `a text of at most ${MAX_TEXT_LENGTH} characters`);
    }
    return value;
  }

  bytes(name: string, maxBytes: number): Bytes {
    const value = this.#values.get(name);
    if (!isCborBytes(value) || value.length > maxBytes) throw this.#wrong(name, `at most ${maxBytes} bytes`);
    return value;
  }

  /** An `Option`: null and absent are the same. */
  optionalBytes(name: string, maxBytes: number): Bytes | null {
    return (this.#values.get(name) ?? null) === null ? null : this.bytes(name, maxBytes);
  }

  #integer(name: string, value: DecodedCbor | undefined, max: number): number {
    if (typeof value !== "number" || value < 0 || value > max) throw this.#wrong(name, `an integer of 0 to ${max}`);
    return value;
  }

  #wrong(name: string, expected: string): ServiceError {
    return nsmRefusal(`${this.#kind}.${name} is not ${expected}`);
  }
}
