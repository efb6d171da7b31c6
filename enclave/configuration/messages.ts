/** `messages`: what AWS Encryption SDK messages must have, and where their data keys come from (docs/envelope-encryption.md). */
import { z } from "zod";

/** Names of pairs of an encryption context. */
const pairName = z.string().min(1).max(1024);

/** A key in memory serves so long at most: whatever KMS would refuse by then it refuses no later than that. */
const maxAgeSeconds = z.int().min(1).max(86_400).default(300);
const capacity = z.int().min(1).max(100_000).default(1_000);

/** A data key from KMS for every message. */
const perMessage = z.strictObject({ kind: z.literal("perMessage") });

const cached = z.strictObject({
  kind: z.literal("cached"),
  maxAgeSeconds,
  /** Messages that one data key encrypts. */
  maxMessages: z
    .int()
    .min(1)
    .max(2 ** 32)
    .default(1_000),
  /** Bytes of plaintext that one data key encrypts. */
  maxBytes: z
    .int()
    .min(1)
    .max(Number.MAX_SAFE_INTEGER)
    .default(1024 ** 3),
  capacity,
});

const branchKeys = z.strictObject({
  kind: z.literal("branchKeys"),
  /** The key of `kms.keys` that the branch keys are under. */
  keyId: z.string(),
  /** Bound to every branch key, whatever its table is called. */
  logicalKeyStoreName: z.string().min(1).max(255),
  /** The table of the key store (Amazon DynamoDB), or what its place is called. */
  tableName: z.string().regex(/^[a-zA-Z0-9_.-]{3,255}$/, "expected the name of a DynamoDB table"),
  maxAgeSeconds,
  capacity,
});

/** Key ARNs that no `kms.keys` names are taken from messages of these accounts, in the Region of `kms.region`. */
const discovery = z.strictObject({
  partition: z.string().regex(/^aws[a-z-]*$/, "expected a partition such as aws"),
  accounts: z
    .array(z.string().regex(/^\d{12}$/, "expected an account of 12 digits"))
    .min(1)
    .max(100),
});

export const messages = z.strictObject({
  /** Pairs that the context of every message must have, made or opened, with a value. */
  requiredPairs: z.array(pairName).max(32).default([]),
  /** The pair whose value is the tenant. Where data keys are kept in memory, every message must have it. */
  tenantPair: pairName.default("tenant"),
  discovery: discovery.optional(),
  /** How long a refusal of KMS is remembered. */
  refusalSeconds: z.int().min(0).max(300).default(5),
  dataKeys: z.discriminatedUnion("kind", [perMessage, cached, branchKeys]).default({ kind: "perMessage" }),
});
