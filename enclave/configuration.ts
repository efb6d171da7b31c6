/**
 * The enclave's configuration: one JSON document, whose exact bytes are measured into PCR16 before anything else
 * happens (boot.ts). What is not known is refused: a misspelt setting must not be measured as if it had an effect.
 */
import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { ServiceError } from "../shared/errors.js";
import { parseJson } from "../shared/wire.js";
import { isAliasName, PinnedKeys, regionOfKeyArn } from "./kms/pinned-keys.js";

const MAX_CONFIGURATION_BYTES = 256 * 1024;

const key = z.strictObject({
  arn: z
    .string()
    .refine((arn) => regionOfKeyArn(arn) !== undefined, "expected a key ARN, arn:aws:kms:REGION:ACCOUNT:key/ID"),
  aliases: z.array(z.string().refine(isAliasName, "expected an alias name, alias/NAME")).max(50).default([]),
});

/** `amazon`: the pinned Amazon roots. Otherwise PEM certificates, one in each text. */
const roots = z.union(
  [
    z.literal("amazon"),
    z.array(z.string().refine(isCaCertificate, "expected the PEM of one CA certificate")).min(1).max(16),
  ],
  'expected "amazon" or a list of PEM certificates, one CA certificate in each text',
);

const kms = z.strictObject({
  region: z.string().regex(/^[a-z]{2,5}(-[a-z]+)+-\d{1,2}$/, "expected a Region name such as us-east-1"),
  keys: z.array(key).min(1).max(100),
  transport: z.enum(["tunnel", "gateway"]),
  roots,
});

const recipient = z.strictObject({
  /** How long one RSA key serves new calls. */
  maxAgeSeconds: z.int().min(60).max(86_400).default(3_600),
  /** How many calls one RSA key serves. */
  maxUses: z.int().min(1).max(1_000_000).default(10_000),
  /** How long one attestation document serves new calls; KMS is said to refuse documents older than 300 s. */
  documentMaxAgeSeconds: z.int().min(0).max(240).default(60),
});

/** What `recipient` is where a configuration leaves it out. */
export const RECIPIENT_DEFAULTS: z.infer<typeof recipient> = Object.freeze(recipient.parse({}));

const limits = z.strictObject({
  /** Requests being served at a time; more are refused. */
  maxConcurrentRequests: z.int().min(1).max(4_096).default(256),
  /** From the end of a request's head to its answer. */
  requestDeadlineSeconds: z.int().min(1).max(300).default(30),
  /** Connections to KMS at a time. */
  maxKmsConnections: z.int().min(1).max(1_024).default(64),
  /** KMS requests that wait for a connection. */
  maxQueuedKmsRequests: z.int().min(0).max(65_536).default(1_024),
  /** Encrypted data keys that a message may carry, each of which may cost a KMS call. */
  maxEncryptedDataKeys: z.int().min(1).max(16).default(4),
});

const schema = z.strictObject({
  version: z.literal(1),
  kms,
  channels: z.strictObject({
    /** `reveal`: operations answer the parent in plain. `closed`: only attestation and health do. */
    parent: z.enum(["reveal", "closed"]),
  }),
  recipient: recipient.prefault({}),
  limits: limits.prefault({}),
});

/** The configuration as it was written, with defaults filled in. */
export type ConfigurationDocument = z.infer<typeof schema>;

/** A checked configuration. */
export interface Configuration extends ConfigurationDocument {
  readonly keys: PinnedKeys;
}

/**
 * Parses a configuration.
 * On return every field is of its form, all keys are in the KMS Region, and every key name means one key.
 * @throws ServiceError ERR_CONFIGURATION; the message names the field and what was expected of it.
 */
export function parseConfiguration(bytes: Uint8Array): Configuration {
  const document = parseJson(schema, decodeUtf8(bytes), "ERR_CONFIGURATION");
  const { region, keys } = document.kms;
  keys.forEach(({ arn }, index) => {
    if (regionOfKeyArn(arn) === region) return;
    throw new ServiceError("ERR_CONFIGURATION", `kms.keys.${index}.arn: expected a key in the Region of kms.region`);
  });
  return { ...document, keys: new PinnedKeys(keys) };
}

function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length > MAX_CONFIGURATION_BYTES) {
    throw new ServiceError("ERR_CONFIGURATION", `expected a configuration of at most ${MAX_CONFIGURATION_BYTES} bytes`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ServiceError("ERR_CONFIGURATION", "expected the configuration to be UTF-8");
  }
}

/** Whether `pem` is one CA certificate. Node reads the first certificate of a text and ignores the rest. */
function isCaCertificate(pem: string): boolean {
  if (pem.split("-----BEGIN").length !== 2) return false;
  try {
    return new X509Certificate(pem).ca;
  } catch {
    return false; // not a certificate at all
  }
}
