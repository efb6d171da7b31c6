/**
 * The state of the KMS as JSON: whatever its records are made of, whole. What JSON has no form for is an object with one
 * member, whose name begins with `$`. Every byte string is wrapped, and every key but public ones: no record has to say what
 * of it is a secret.
 */
import { createPrivateKey, createPublicKey, createSecretKey, KeyObject } from "node:crypto";
import { fromBase64, toBase64, wipe } from "../../shared/bytes.js";
import type { MasterKey } from "../storage/master-key.js";
import type { Json } from "../storage/repository.js";

/** What secrets are wrapped under, and bound to. */
export interface Wrapping {
  readonly masterKey: MasterKey;
  /** The id of the record that the secrets belong to: the ARN of a key, or the id of a grant. */
  readonly record: string;
}

/** The JSON of a value. @throws TypeError for a function and the like: there is no form to keep them in */
export const toStored = (value: unknown, wrapping: Wrapping): Json => encode(value, wrapping, []);

/** The value that `toStored` was given. @throws StorageError if a secret does not open */
export const fromStored = (stored: Json, wrapping: Wrapping): unknown => decode(stored, wrapping, []);

/** The id of the material that a secret belongs to, if it has one, and the secret's name in it. */
type Owner = readonly string[];

function encode(value: unknown, wrapping: Wrapping, owner: Owner): Json {
  if (value === null || ["string", "number", "boolean"].includes(typeof value)) return value as Json;
  if (typeof value !== "object") throw new TypeError(`a ${typeof value} cannot be kept`);
  const inner = (one: unknown): Json => encode(one, wrapping, owner);
  if (Array.isArray(value)) return value.map(inner);
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof Uint8Array) return { $bytes: wrapped(value, wrapping, owner) };
  if (value instanceof Map) return { $map: [...value].map((entry) => entry.map(inner)) };
  if (value instanceof Set) return { $set: [...value].map(inner) };
  if (value instanceof KeyObject) return encodeKey(value, wrapping, owner);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [escaped(name), encode(member, wrapping, ownerOf(idOf(value), name))]),
  );
}

function decode(stored: Json, wrapping: Wrapping, owner: Owner): unknown {
  if (stored === null || typeof stored !== "object") return stored;
  const inner = (one: Json): unknown => decode(one, wrapping, owner);
  if (isList(stored)) return stored.map(inner);
  const [only, ...others] = Object.entries(stored);
  const form = only !== undefined && others.length === 0 ? FORMS.get(only[0]) : undefined;
  if (only !== undefined && form !== undefined) return form(only[1], inner, wrapping, owner);
  return Object.fromEntries(
    Object.entries(stored).map(([name, member]) => {
      const plain = name.replace(/^\$\$/, "$");
      return [plain, decode(member, wrapping, ownerOf(idOf(stored), plain))];
    }),
  );
}

type Form = (content: Json, inner: (one: Json) => unknown, wrapping: Wrapping, owner: Owner) => unknown;

const list = (content: Json): readonly Json[] => (isList(content) ? content : []);
const bytes = (content: Json): Uint8Array<ArrayBuffer> => fromBase64(String(content)) ?? new Uint8Array();

const FORMS: ReadonlyMap<string, Form> = new Map<string, Form>([
  ["$date", (content) => new Date(String(content))],
  ["$bytes", (content, _inner, wrapping, owner) => unwrapped(content, wrapping, owner)],
  ["$map", (content, inner) => new Map(list(content).map((entry) => list(entry).map(inner) as [unknown, unknown]))],
  ["$set", (content, inner) => new Set(list(content).map(inner))],
  ["$publicKey", (content) => createPublicKey({ key: Buffer.from(bytes(content)), format: "der", type: "spki" })],
  ["$secretKey", (content, _inner, wrapping, owner) => opened(content, wrapping, owner, createSecretKey)],
  [
    "$privateKey",
    (content, _inner, wrapping, owner) =>
      opened(content, wrapping, owner, (key) => createPrivateKey({ key, format: "der", type: "pkcs8" })),
  ],
]);

function encodeKey(key: KeyObject, wrapping: Wrapping, owner: Owner): Json {
  if (key.type === "public") return { $publicKey: toBase64(key.export({ type: "spki", format: "der" })) };
  const secret = key.type === "secret" ? key.export() : key.export({ type: "pkcs8", format: "der" });
  const sealed = wrapped(secret, wrapping, owner);
  wipe(secret);
  return key.type === "secret" ? { $secretKey: sealed } : { $privateKey: sealed };
}

function opened(content: Json, wrapping: Wrapping, owner: Owner, make: (secret: Buffer) => KeyObject) {
  const secret = unwrapped(content, wrapping, owner);
  const key = make(Buffer.from(secret.buffer));
  wipe(secret);
  return key;
}

const wrapped = (secret: Uint8Array, { masterKey, record }: Wrapping, owner: Owner): string =>
  toBase64(masterKey.wrap(secret, [record, ...owner]));

const unwrapped = (content: Json, { masterKey, record }: Wrapping, owner: Owner): Uint8Array<ArrayBuffer> =>
  masterKey.unwrap(bytes(content), [record, ...owner]);

const ownerOf = (id: unknown, name: string): Owner => [typeof id === "string" ? id : "", name];
const idOf = (value: object): unknown => ("id" in value ? value.id : undefined);

/** Names that begin with `$` are ours; those of others get one more. */
const escaped = (name: string): string => (name.startsWith("$") ? `$${name}` : name);

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);
