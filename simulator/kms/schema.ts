/**
 * Request validation in AWS's manner: constraints of the service model as zod schemas, and their failures in the words of
 * real answers ("1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: …"). A value of
 * the wrong JSON type is a SerializationException. Members that an operation does not have are ignored, as AWS does.
 */
import { z } from "zod";
import { fromBase64 } from "../../shared/bytes.js";
import { AwsError, validationError } from "../errors.js";
import { ENCRYPTION_ALGORITHMS } from "./key-specs.js";

/** A blob: base64 in JSON, bytes in handlers. Its value is never shown in an error. */
export const blob = (min: number, max: number) => z.string().transform(bytesWithin(min, max));

/** A blob that the service model calls sensitive: of it an error does not even show that it is null. */
export const sensitiveBlob = (min: number, max: number) =>
  z.unknown().transform((value, ctx): Uint8Array => {
    if (typeof value === "string") return bytesWithin(min, max)(value, ctx);
    ctx.issues.push(value === undefined ? constraintIssue(NOT_NULL) : SERIALIZATION_ISSUE);
    return new Uint8Array();
  });

function bytesWithin(min: number, max: number) {
  return (text: string, ctx: z.core.ParsePayload): Uint8Array => {
    const bytes = fromBase64(text);
    if (bytes === undefined) ctx.issues.push(SERIALIZATION_ISSUE);
    else if (bytes.length < min) ctx.issues.push(constraintIssue(atLeast("length", min)));
    else if (bytes.length > max) ctx.issues.push(constraintIssue(atMost("length", max)));
    return bytes ?? new Uint8Array();
  };
}

const NOT_NULL = "Member must not be null";
const atLeast = (what: string, limit: unknown) => `Member must have ${what} greater than or equal to ${String(limit)}`;
const atMost = (what: string, limit: unknown) => `Member must have ${what} less than or equal to ${String(limit)}`;
const anyOf = (values: readonly unknown[]) => `Member must satisfy enum value set: [${values.join(", ")}]`;

const SERIALIZATION_ISSUE = { code: "custom", input: undefined, params: { serialization: true } } as const;
const constraintIssue = (constraint: string) => ({ code: "custom" as const, input: "", params: { constraint } });

/** Names to texts, as a map. A lone surrogate, which UTF-8 would replace, is refused: two different texts would become one. */
const stringMap = z.unknown().transform((value, ctx): ReadonlyMap<string, string> => {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const entries = isObject ? Object.entries(value) : [];
  const isText = (text: unknown) => typeof text === "string" && !/\p{Surrogate}/u.test(text);
  if (!isObject || !entries.flat().every(isText)) {
    ctx.issues.push(SERIALIZATION_ISSUE);
  }
  return new Map(entries);
});

/** What the names and values of an encryption context may have together, in UTF-8. */
const MAX_CONTEXT_BYTES = 8192;

/** A longer one is no permission's business: it is refused before it is put to any policy, or recorded. */
const boundedContext = stringMap.superRefine((context, ctx) => {
  const bytes = [...context].flat().reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > MAX_CONTEXT_BYTES) ctx.issues.push(constraintIssue(atMost("length", MAX_CONTEXT_BYTES)));
});

/** Text whose whole must match `pattern`, which is shown as the service model has it. */
export const patterned = (pattern: string, min: number, max: number) => {
  const whole = new RegExp(`^(?:${pattern})$`, "u");
  return z
    .string()
    .min(min)
    .max(max)
    .superRefine((input, ctx) => {
      if (!whole.test(input)) ctx.addIssue({ code: "invalid_format", format: "regex", pattern, input });
    });
};

/** One of `values` where an error shows other ones: AWS checks some members by the enum of another. */
export const enumShownAs = <const Value extends string>(values: readonly Value[], shown: readonly string[]) =>
  z
    .string()
    .superRefine((input, ctx) => {
      if (!hasText(values, input)) ctx.addIssue({ code: "invalid_value", values: [...shown], input });
    })
    .pipe(z.enum(values));

/** A list of texts, each as long as that. */
export const textList = (min: number, max: number) =>
  listOf((text) => min <= text.length && text.length <= max, [atMost("length", max), atLeast("length", min)]);

/** A list of `min` to `max` enum values. */
export const enumList = <const Value extends string>(values: readonly Value[], min = 0, max = Infinity) =>
  listOf((text) => hasText(values, text), [anyOf(values)])
    .min(min)
    .max(max)
    .pipe(z.array(z.enum(values)));

/** Of a list with an item that does not fit, AWS names the list and everything that its items must satisfy. */
const listOf = (fits: (text: string) => boolean, constraints: readonly string[]) =>
  z.array(z.string()).superRefine((input, ctx) => {
    const constraint = `Member must satisfy constraint: [${constraints.join(", ")}]`;
    if (!input.every(fits)) ctx.addIssue({ code: "custom", input, params: { constraint } });
  });

const hasText = (values: readonly string[], text: string): boolean => values.includes(text);

// The members that many operations share (API reference, "Request Parameters").
export const keyId = patterned("^\\p{ASCII}+$", 1, 2048);
export const encryptionContext = boundedContext.optional();
export const grantTokens = textList(1, 8192).max(10).optional();
export const description = z.string().max(8192);
export const dryRun = z.boolean().optional();
export const dryRunModifiers = enumList(["IGNORE_CIPHERTEXT"]).optional();
export const encryptionAlgorithm = z.enum(ENCRYPTION_ALGORITHMS).optional();
export const plaintext = sensitiveBlob(1, 4096);
export const message = sensitiveBlob(1, 4096);
export const ciphertext = blob(1, 6144);
export const keyMaterialId = patterned("^[a-f0-9]+$", 64, 64);
export const region = patterned("^([a-z]+-){2,3}\\d+$", 1, 32);
/** Seconds since 1970, with a fraction or without: a Date in handlers. */
export const timestamp = z
  .number()
  .transform((seconds) => new Date(seconds * 1000))
  .refine((date) => !Number.isNaN(date.getTime()), { params: { serialization: true } });
export const recipient = z
  .object({ KeyEncryptionAlgorithm: z.enum(["RSAES_OAEP_SHA_256"]), AttestationDocument: blob(1, 262_144) })
  .optional();

/**
 * Parses a request. @throws AwsError ValidationException naming every failed constraint, SerializationException for a
 * value of the wrong type.
 */
export function parseInput<Input>(schema: z.ZodType<Input>, json: unknown): Input {
  const members = withoutNulls(json);
  assertListsShort(members);
  const result = schema.safeParse(members, { reportInput: true });
  if (result.success) return result.data;
  const { issues } = result.error;
  const failures = issues.slice(0, MAX_FAILURES_TOLD).map(describeIssue);
  const count = issues.length === 1 ? "1 validation error" : `${issues.length} validation errors`;
  throw validationError(`${count} detected: ${failures.join("; ")}`);
}

/** Far above what any list of the API may have. */
const MAX_LIST = 1_000;
/** An answer must not be many times as long as its request. */
const MAX_FAILURES_TOLD = 50;

/** A list of any length would cost a failure for each of its items. @throws AwsError ValidationException */
function assertListsShort(members: unknown): void {
  if (typeof members !== "object" || members === null) return;
  for (const [name, value] of Object.entries(members)) {
    if (!Array.isArray(value) || value.length <= MAX_LIST) continue;
    const constraint = `Member must have length less than or equal to ${MAX_LIST}`;
    throw validationError(
      `1 validation error detected: Value at '${memberName(name)}' failed to satisfy constraint: ${constraint}`,
    );
  }
}

/** The failure of a member that only some requests may leave out; `name` as AWS shows it. */
export const memberMissing = (name: string): AwsError =>
  validationError(`1 validation error detected: ${nullAt(name)}`);

const nullAt = (path: string): string =>
  `Value null at '${path}' failed to satisfy constraint: Member must not be null`;

/** JSON null is a member that is not there. */
function withoutNulls(json: unknown): unknown {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return json;
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(memberName).join(".");
  if (issue.code !== "custom" && (issue.input === undefined || issue.input === null)) {
    return nullAt(path);
  }
  const constraint = constraintOf(issue);
  if (constraint === undefined) throw new AwsError("SerializationException");
  return `${shownValue(issue)} at '${path}' failed to satisfy constraint: ${constraint}`;
}

function shownValue({ input, code }: z.core.$ZodIssue): string {
  if (Array.isArray(input) && input.every((item) => typeof item === "string")) return `Value '[${input.join(", ")}]'`;
  return typeof input === "object" || code === "custom" ? "Value" : `Value '${String(input)}'`;
}

/** Member names as AWS shows them: lower camel case, list items by number from 1. */
const memberName = (part: PropertyKey): string =>
  typeof part === "number" ? `${part + 1}.member` : String(part).charAt(0).toLowerCase() + String(part).slice(1);

/** The constraint in AWS's words; undefined when the value is not of the right type at all. */
function constraintOf(issue: z.core.$ZodIssue): string | undefined {
  switch (issue.code) {
    case "too_small":
      return atLeast(issue.origin === "number" ? "value" : "length", issue.minimum);
    case "too_big":
      return atMost(issue.origin === "number" ? "value" : "length", issue.maximum);
    case "invalid_value":
      return typeof issue.input === "string" ? anyOf(issue.values) : undefined;
    case "invalid_format":
      return `Member must satisfy regular expression pattern: ${issue.pattern ?? ""}`;
    case "custom":
      return typeof issue.params?.constraint === "string" ? issue.params.constraint : undefined;
    default:
      return undefined;
  }
}
