/** `authorization`: whose tokens are taken, and who may do what (docs/authorization.md). */
import { z } from "zod";

/** RFC 7518 §3.1 and RFC 8037, without the symmetric algorithms and without RSASSA-PKCS1-v1_5 below 2048 bits (the parser of keys sees to that). */
const TOKEN_ALGORITHMS = [
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
] as const;

const issuer = z.strictObject({
  /** Stands before the subject in the names of principals: NAME/SUBJECT. */
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "expected a short name in lower case"),
  /** `iss`, literally. */
  issuer: z.string().min(1).max(1024),
  /** One of these must be in `aud`. */
  audiences: z.array(z.string().min(1).max(1024)).min(1).max(16),
  algorithms: z.array(z.enum(TOKEN_ALGORITHMS)).min(1),
  /** RFC 7517: public keys alone. Checked by authorization/tokens.ts. */
  jwks: z.strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(32) }),
  /** `whereBound`: a token with `cnf` needs a proof. `required`: every token must have `cnf`, and needs a proof. */
  proofOfPossession: z.enum(["whereBound", "required"]).default("whereBound"),
});

const GIBIBYTE = 1024 ** 3;

const budgets = z.strictObject({
  requestsPerMinute: z.int().min(1).max(1_000_000).default(600),
  /** Of request and answer bodies together. A stream that has used them up is slowed down, all else is refused. */
  bytesPerMinute: z.int().min(2_097_152).max(100_000_000_000).default(GIBIBYTE),
  maxConcurrent: z.int().min(1).max(4_096).default(32),
  /** Principals whose use is remembered; while so many are active, others are refused. */
  maxPrincipals: z.int().min(1).max(1_000_000).default(10_000),
});

/** A text, or its lines. */
const text = z
  .union([z.string(), z.array(z.string())], "expected a text, or a list of its lines")
  .transform((given) => (typeof given === "string" ? given : given.join("\n")));

export const authorization = z.strictObject({
  issuers: z.array(issuer).min(1).max(16),
  /** How far an issuer's clock may be from the enclave's. */
  skewSeconds: z.int().min(0).max(300).default(30),
  /** Since `iat`, whatever `exp` says. */
  maxTokenAgeSeconds: z.int().min(60).max(86_400).default(3_600),
  /** Cedar schema, in its human-readable form. */
  schema: text,
  /** Cedar policies. What none of them permits is denied. */
  policies: text,
  /** What may be written to the log besides what always is. */
  loggable: z
    .strictObject({
      /** Names of pairs of the encryption context whose values may be logged. */
      encryptionContext: z.array(z.string().min(1).max(1024)).max(100).default([]),
    })
    .prefault({}),
  budgets: budgets.prefault({}),
});
