/** What an operation answers: its members, their form on the wire, and the end of its secrets. */
import { toBase64, wipe } from "../../shared/bytes.js";

/** The members of an answer; bytes become base64 and dates seconds since 1970. */
export type Answer = Readonly<Record<string, unknown>>;

/** The members of answers that the service model calls sensitive. */
const SECRET_MEMBERS = ["Plaintext", "PrivateKeyPlaintext", "SharedSecret"];

/** Overwrites what is secret in an answer, once it is sent or is not going to be. */
export function wipeSecrets(answer: Answer = {}): void {
  for (const member of SECRET_MEMBERS) {
    const secret = answer[member];
    if (secret instanceof Uint8Array) wipe(secret);
  }
}

/** The JSON of an answer. */
export function encodeAnswer(answer: Answer): string {
  return JSON.stringify(toWire(answer));
}

function toWire(value: unknown): unknown {
  if (value instanceof Uint8Array) return toBase64(value);
  if (value instanceof Date) return value.getTime() / 1000;
  if (Array.isArray(value)) return value.map(toWire);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toWire(member)]));
}
