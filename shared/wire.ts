/**
 * The messages of the enclave's HTTP operations, as schemas that the enclave enforces and the client shares. Bytes are
 * canonical padded base64 in JSON. Unknown fields are refused on the way in: a field that is silently ignored is a
 * setting that its sender believes in.
 */
import * as z from "zod"; // as a namespace, so that bundlers leave out what is not used (its locales)
import { fromBase64, toBase64 } from "./bytes.js";
import type { ErrorCode } from "./errors.js";
import { ERRORS, isErrorCode, ServiceError } from "./errors.js";

z.config({ jitless: true }); // no code generation: the enclave and strict CSP pages run without `eval`

/** Largest request body that an operation takes, in bytes: a 6144-byte ciphertext in base64 and a full encryption context. */
export const MAX_REQUEST_BYTES = 64 * 1024;
/** Largest body of an operation that takes whole messages. */
export const MAX_MESSAGE_REQUEST_BYTES = 1024 * 1024;
/** Largest message that a JSON body holds, in bytes; larger ones are streamed. */
export const MAX_MESSAGE_BYTES = 700 * 1024;
/** Largest plaintext of a new message in JSON: with its header and frames, the message still fits. */
const MAX_PLAINTEXT_BYTES = 640 * 1024;
/** Largest sealed request or answer: the same in Binary HTTP, with its fields, and sealed. */
export const MAX_SEALED_BYTES = MAX_MESSAGE_REQUEST_BYTES + 64 * 1024;
/** KMS limits (API_Decrypt, API_GenerateRandom). */
export const MAX_CIPHERTEXT_BYTES = 6144;
const MAX_RANDOM_BYTES = 1024;
const MAX_KEY_ID_LENGTH = 2048;
const SYMMETRIC = "SYMMETRIC_DEFAULT";
/** Pairs of an encryption context. More than anybody has, and few enough to decide about: a body has room for 100,000. */
export const MAX_CONTEXT_PAIRS = 256;

/** A byte string of `min` to `max` bytes as canonical base64 text. */
export function base64(min: number, max: number) {
  return z
    .string()
    .max(Math.ceil(max / 3) * 4)
    .refine((text) => {
      const bytes = fromBase64(text);
      return bytes !== undefined && bytes.length >= min && bytes.length <= max;
    }, `expected canonical base64 of ${min} to ${max} bytes`);
}

const keyId = z.string().min(1).max(MAX_KEY_ID_LENGTH);
/** Pairs of text; the one name that records drop without a word is refused. */
const contextOf = (maxPairs: number) =>
  z
    .custom<object>((value) => typeof value === "object" && value !== null && !Object.hasOwn(value, "__proto__"), {
      message: "expected an object without a field named __proto__",
    })
    .refine((value) => Object.keys(value).length <= maxPairs, {
      message: `expected at most ${maxPairs} pairs`,
      abort: true,
    })
    .pipe(z.record(z.string().min(1).max(1024), z.string().max(8192)));

/** The pairs that somebody chose. */
export const encryptionContext = contextOf(MAX_CONTEXT_PAIRS);
/** The pairs of a message, with that of its signature. */
export const wholeContext = contextOf(MAX_CONTEXT_PAIRS + 1);

/**
 * `GET /attestation?nonce=`: the nonce is unpadded base64url of 16 to 512 bytes. The document's `user_data` binds the keys
 * beside it (attestation/endpoint-keys.ts).
 */
export const attestationResponse = z.strictObject({
  document: base64(1, 16384 + 1024),
  /** RFC 9458 §3.2. */
  keyConfigurations: base64(1, 4096),
  /** DER SubjectPublicKeyInfo; absent where the enclave serves no TLS. */
  tlsKey: base64(1, 1024).optional(),
  /** Whether other enclaves open what is sealed to these keys. A hint where to send it, said by nobody who is trusted. */
  shared: z.literal(true).optional(),
});

/** `POST /v1/decrypt`: KMS Decrypt. `keyId` may be left out where the enclave's configuration names one key. */
export const decryptRequest = z
  .strictObject({
    ciphertext: base64(1, MAX_CIPHERTEXT_BYTES),
    keyId: keyId.optional(),
    encryptionContext: encryptionContext.optional(),
    encryptionAlgorithm: z.enum(["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]).optional(),
  })
  // No RSA ciphertext is bound to a context (API_Decrypt): policies must not decide by one that is only claimed.
  .refine(({ encryptionAlgorithm = SYMMETRIC, encryptionContext: pairs = {} }) => {
    return encryptionAlgorithm === SYMMETRIC || Object.keys(pairs).length === 0;
  }, "expected no encryption context with an asymmetric algorithm");
export const decryptResponse = z.strictObject({ plaintext: base64(0, 4096), keyId });

/** `POST /v1/data-keys`: KMS GenerateDataKey. */
export const dataKeyRequest = z.strictObject({
  keyId,
  keySpec: z.enum(["AES_128", "AES_256"]),
  encryptionContext: encryptionContext.optional(),
});
export const dataKeyResponse = z.strictObject({
  plaintext: base64(16, 32),
  ciphertext: base64(1, MAX_CIPHERTEXT_BYTES),
  keyId,
});

/** `POST /v1/random`: KMS GenerateRandom. */
export const randomRequest = z.strictObject({ numberOfBytes: z.int().min(1).max(MAX_RANDOM_BYTES) });
export const randomResponse = z.strictObject({ random: base64(1, MAX_RANDOM_BYTES) });

/** `POST /v1/functions/NAME`: a function of the application on the plaintext of one ciphertext or message, or on neither. */
export const functionRequest = z.strictObject({
  ciphertext: base64(1, MAX_CIPHERTEXT_BYTES).optional(),
  message: base64(1, MAX_MESSAGE_BYTES).optional(),
  keyId: keyId.optional(),
  encryptionContext: encryptionContext.optional(),
  /** Of the function's own form. */
  input: z.unknown().optional(),
});
export const functionResponse = z.strictObject({ output: z.unknown() });

/** `POST /v1/messages/decrypt`: a whole AWS Encryption SDK message with key commitment. */
export const messageDecryptRequest = z.strictObject({
  message: base64(1, MAX_MESSAGE_BYTES),
  encryptionContext: encryptionContext.optional(),
});
export const messageDecryptResponse = z.strictObject({
  plaintext: base64(0, MAX_MESSAGE_BYTES),
  encryptionContext: wholeContext,
});

/** Keys that are to open a new message, the first of which makes its data key; may be left out where the configuration names one. */
const keyIds = z.array(keyId).min(1).max(16);
/** Whether a new message is signed; it is, unless it says no. */
const signed = z.boolean();

/** `POST /v1/messages/encrypt`: a new AWS Encryption SDK message with key commitment. Re-encryption answers likewise. */
export const messageEncryptRequest = z.strictObject({
  plaintext: base64(0, MAX_PLAINTEXT_BYTES),
  keyIds: keyIds.optional(),
  encryptionContext: encryptionContext.optional(),
  signed: signed.optional(),
});
export const messageEncryptResponse = z.strictObject({
  message: base64(1, MAX_MESSAGE_BYTES),
  encryptionContext: wholeContext,
});

/** `POST /v1/messages/re-encrypt`: the same contents and context under other keys. `encryptionContext`: pairs that must be in it. */
export const messageReEncryptRequest = z.strictObject({
  message: base64(1, MAX_MESSAGE_BYTES),
  keyIds: keyIds.optional(),
  encryptionContext: encryptionContext.optional(),
  signed: signed.optional(),
});

/** What a streamed request says besides its body and `encryption-context`, in the field `message-options`. */
export const messageOptions = z.strictObject({ keyIds: keyIds.optional(), signed: signed.optional() });

/** `POST /v1/caches/wipe`. */
export const wipeCachesRequest = z.strictObject({});
export const wipeCachesResponse = z.strictObject({});

export type FunctionRequest = z.infer<typeof functionRequest>;
export type AttestationResponse = z.infer<typeof attestationResponse>;
export type DecryptRequest = z.infer<typeof decryptRequest>;
export type DataKeyRequest = z.infer<typeof dataKeyRequest>;
export type RandomRequest = z.infer<typeof randomRequest>;
export type MessageEncryptRequest = z.infer<typeof messageEncryptRequest>;
export type MessageReEncryptRequest = z.infer<typeof messageReEncryptRequest>;
export type MessageOptions = z.infer<typeof messageOptions>;
export type MessageDecryptRequest = z.infer<typeof messageDecryptRequest>;

/** RFC 9457 problem document. `detail` is present only where it cannot tell anything about a secret or an input. */
export const problemDocument = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  requestId: z.string(),
  detail: z.string().optional(),
});
export type ProblemDocument = z.infer<typeof problemDocument>;

/** Media type of problem documents. */
export const PROBLEM_JSON = "application/problem+json";

/** The problem types that RFC 9458 §5.3 and §6.5.2 register; all others are named by their code. */
const PROBLEM_TYPES: Partial<Readonly<Record<ErrorCode, string>>> = {
  ERR_KEY_CONFIGURATION: "https://iana.org/assignments/http-problem-types#ohttp-key",
  ERR_CLOCK_SKEW: "https://iana.org/assignments/http-problem-types#date",
};

/** The problem document of a refusal: code, title and request id; the message and cause stay in the local log. */
export function problemOf(code: ErrorCode, requestId: string): ProblemDocument {
  const { status, title } = ERRORS[code];
  return { type: PROBLEM_TYPES[code] ?? `urn:nitro-decrypt:error:${code}`, title, status, code, requestId };
}

const REQUEST_ID = /^[\w-]{1,64}$/;

/** The error that a problem document stands for; ERR_INTERNAL when it is not one of ours. */
export function errorOfProblem(body: unknown): ServiceError {
  const problem = problemDocument.safeParse(body);
  if (!problem.success || !isErrorCode(problem.data.code)) {
    return new ServiceError("ERR_INTERNAL", "the other side refused without a known code");
  }
  const { code, requestId } = problem.data;
  // Whoever wrote it, terminals and logs are where it ends.
  const request = REQUEST_ID.test(requestId) ? ` (request ${requestId})` : "";
  return new ServiceError(code, `${ERRORS[code].title}${request}`);
}

/**
 * Parses `value` with `schema`.
 * @throws ServiceError with `code`; the message names the first offending field and what was expected, never its value.
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, code: ErrorCode): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ServiceError(code, describeIssue(result.error.issues[0], code));
}

/** Field names of the schemas are words; what a caller made up (a key of an encryption context, an unknown field) may be anything. */
const FIELDS_OF_ITS_OWN = new Set<PropertyKey>(["encryptionContext"]);

/** Which field, and what was expected of it, in words of the schema alone. */
function describeIssue(issue: z.core.$ZodIssue | undefined, code: ErrorCode): string {
  const path = issue?.path ?? [];
  const open = path.findIndex((name) => FIELDS_OF_ITS_OWN.has(name));
  const field = (open < 0 ? path : path.slice(0, open + 1)).join(".") || "the document";
  // A configuration is its operator's own, and no secret: there the unknown field is named.
  const isNamed = code === "ERR_CONFIGURATION";
  if (issue?.code === "unrecognized_keys" && !isNamed)
    return `${field}: expected the known fields only, it has one more`;
  return `${field}: ${issue?.message ?? "not of the expected form"}`;
}

/** The one name that records drop without a word: a pair that a caller demands must not vanish. */
function refusePrototype(name: string, value: unknown): unknown {
  if (name === "__proto__") throw new SyntaxError("__proto__ is no field");
  return value;
}

/** Parses JSON text of at most `maxBytes` with `schema`. @throws ServiceError with `code`. */
export function parseJson<T>(schema: z.ZodType<T>, text: string, code: ErrorCode): T {
  let value: unknown;
  try {
    value = JSON.parse(text, refusePrototype);
  } catch {
    throw new ServiceError(code, "expected a JSON document");
  }
  return parseWith(schema, value, code);
}

const HTTP_DATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** Milliseconds since 1970 of an IMF-fixdate (RFC 9110 §5.6.7), or undefined if `text` is none. */
export function parseHttpDate(text: string): number | undefined {
  const ms = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** The text of a body. @throws ServiceError ERR_MESSAGE_MALFORMED when it is not UTF-8. */
export function decodeUtf8(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected the body to be UTF-8");
  }
}

/** Bytes of a field that a schema above has already checked. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = fromBase64(text);
  if (bytes === undefined) throw new TypeError("bytesOf: the text was not checked by a schema");
  return bytes;
}

export { toBase64 as base64Of };

/** The trailer of a streamed answer: OK, or the code of what went wrong after its head had been sent. */
export const OUTCOME_TRAILER = "outcome";
