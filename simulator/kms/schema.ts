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
export const blob = (min: number, max: number) =>
  z.string().transform((text, ctx): Uint8Array => {
    const bytes = fromBase64(text);
    if (bytes === undefined) ctx.issues.push({ code: "custom", input: text, params: { serialization: true } });
    else if (bytes.length < min) ctx.issues.push(lengthIssue("greater", min));
    else if (bytes.length > max) ctx.issues.push(lengthIssue("less", max));
    return bytes ?? new Uint8Array();
  });

const lengthIssue = (side: "greater" | "less", limit: number) => ({
  code: "custom" as const,
  input: "",
  params: { constraint: `Member must have length ${side} than or equal to ${limit}` },
});

/** Names to texts, as a map. A lone surrogate, which UTF-8 would replace, is refused: two different texts would become one. */
const stringMap = z.unknown().transform((value, ctx): ReadonlyMap<string, string> => {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const entries = isObject ? Object.entries(value) : [];
  const isText = (text: unknown) => typeof text === "string" && !/\p{Surrogate}/u.test(text);
  if (!isObject || !entries.flat().every(isText)) {
    ctx.issues.push({ code: "custom", input: value, params: { serialization: true } });
  }
  return new Map(entries);
});

// The members that many operations share (API reference, "Request Parameters").
export const keyId = z.string().min(1).max(2048);
export const encryptionContext = stringMap.optional();
export const grantTokens = z.array(z.string().min(1).max(8192)).max(10).optional();
export const description = z.string().max(8192);
export const dryRun = z.boolean().optional();
export const dryRunModifiers = z.array(z.enum(["IGNORE_CIPHERTEXT"])).optional();
export const encryptionAlgorithm = z.enum(ENCRYPTION_ALGORITHMS).optional();
export const plaintext = blob(1, 4096);
export const ciphertext = blob(1, 6144);
export const recipient = z
  .object({ KeyEncryptionAlgorithm: z.enum(["RSAES_OAEP_SHA_256"]), AttestationDocument: blob(1, 262_144) })
  .optional();

/**
 * Parses a request. @throws AwsError ValidationException naming every failed constraint, SerializationException for a
 * value of the wrong type.
 */
export function parseInput<Input>(schema: z.ZodType<Input>, json: unknown): Input {
  const result = schema.safeParse(withoutNulls(json), { reportInput: true });
  if (result.success) return result.data;
  const failures = result.error.issues.map(describeIssue);
  const count = failures.length === 1 ? "1 validation error" : `${failures.length} validation errors`;
  throw validationError(`${count} detected: ${failures.join("; ")}`);
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
  const shown = typeof issue.input === "object" || issue.code === "custom" ? "Value" : `Value '${String(issue.input)}'`;
  return `${shown} at '${path}' failed to satisfy constraint: ${constraint}`;
}

/** Member names as AWS shows them: lower camel case, list items by number from 1. */
const memberName = (part: PropertyKey): string =>
  typeof part === "number" ? `${part + 1}.member` : String(part).charAt(0).toLowerCase() + String(part).slice(1);

/** The constraint in AWS's words; undefined when the value is not of the right type at all. */
function constraintOf(issue: z.core.$ZodIssue): string | undefined {
  switch (issue.code) {
    case "too_small":
      return `Member must have ${issue.origin === "number" ? "value" : "length"} greater than or equal to ${issue.minimum}`;
    case "too_big":
      return `Member must have ${issue.origin === "number" ? "value" : "length"} less than or equal to ${issue.maximum}`;
    case "invalid_value":
      return typeof issue.input === "string"
        ? `Member must satisfy enum value set: [${issue.values.join(", ")}]`
        : undefined;
    case "invalid_format":
      return `Member must satisfy regular expression pattern: ${issue.pattern?.replace(/^\/\^\(\?:|\)\$\/u?$/g, "") ?? ""}`;
    case "custom":
      return typeof issue.params?.constraint === "string" ? issue.params.constraint : undefined;
    default:
      return undefined;
  }
}

/** Text whose whole must match `source`, a pattern of the service model. */
export const patterned = (source: string) => z.string().regex(new RegExp(`^(?:${source})$`, "u"));
