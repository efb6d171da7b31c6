/**
 * The enclave's configuration: one JSON document, whose exact bytes are measured into PCR16 before anything else
 * happens (boot.ts). What is not known is refused: a misspelt setting must not be measured as if it had an effect.
 */
import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { ServiceError } from "../shared/errors.js";
import { FLEET_NAME } from "../shared/sealing-seed.js";
import { parseJson } from "../shared/wire.js";
import { isAliasName, PinnedKeys, regionOfKeyArn } from "./kms/pinned-keys.js";
import { regionsOf } from "./kms/regions.js";

const MAX_CONFIGURATION_BYTES = 1024 * 1024;

const region = z.string().regex(/^[a-z]{2,5}(-[a-z]+)+-\d{1,2}$/, "expected a Region name such as us-east-1");

const key = z.strictObject({
  arn: z
    .string()
    .refine((arn) => regionOfKeyArn(arn) !== undefined, "expected a key ARN, arn:aws:kms:REGION:ACCOUNT:key/ID"),
  aliases: z.array(z.string().refine(isAliasName, "expected an alias name, alias/NAME")).max(50).default([]),
  /** Of a multi-Region key: where a related key may stand in for it while the own Region is down, the preferred Region first. */
  replicaRegions: z.array(region).max(8).default([]),
});

/** `amazon`: the pinned Amazon roots. Otherwise PEM certificates, one in each text. */
const roots = z.union(
  [
    z.literal("amazon"),
    z.array(z.string().refine(isCaCertificate, "expected the PEM of one CA certificate")).min(1).max(16),
  ],
  'expected "amazon" or a list of PEM certificates, one CA certificate in each text',
);

/** What happens when a Region does not answer; of effect where `replicaRegions` names others. */
const failover = z.strictObject({
  /** How long a Region has for its answer while there is another one to ask. */
  attemptSeconds: z.int().min(1).max(30).default(2),
  /** How long calls then go elsewhere, until one of them asks it again. */
  restSeconds: z.int().min(1).max(3_600).default(30),
});

const kms = z.strictObject({
  region,
  keys: z.array(key).min(1).max(100),
  transport: z.enum(["tunnel", "gateway"]),
  roots,
  failover: failover.prefault({}),
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

const messages = z.strictObject({
  /** Pairs that the context of every message must have, made or opened. */
  requiredPairs: z.array(pairName).max(32).default([]),
  /** The pair whose value is the tenant. Where data keys are kept in memory, every message must have it. */
  tenantPair: pairName.default("tenant"),
  discovery: discovery.optional(),
  /** How long a refusal of KMS is remembered. */
  refusalSeconds: z.int().min(0).max(300).default(5),
  dataKeys: z.discriminatedUnion("kind", [perMessage, cached, branchKeys]).default({ kind: "perMessage" }),
});

/** The name of an operation or function, as in its path below `/v1/`. */
const operationName = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]*(\/[a-z][a-z0-9-]*)?$/,
    "expected the name of an operation, such as decrypt or functions/NAME",
  );

const sealed = z.strictObject({
  /** How long a key is published for new requests. */
  keyMaxAgeSeconds: z.int().min(60).max(604_800).default(86_400),
  /** How long requests to a key that is no longer published are still accepted. */
  overlapSeconds: z.int().min(0).max(86_400).default(3_600),
  /** How far the date of a sealed request may be from the enclave's clock, either way. */
  windowSeconds: z.int().min(5).max(300).default(60),
  /** Requests that are remembered, so that none is served twice; when so many are, further ones are refused. */
  maxRemembered: z.int().min(1_000).max(2_000_000).default(100_000),
  /** One sealing identity for all enclaves of a fleet, from seeds under this KMS key; each has its own where it is left out. */
  shared: z
    .strictObject({
      /** A key of `kms.keys`, of which nobody may call Encrypt, and the fleet's enclaves alone GenerateDataKey and Decrypt. */
      keyId: z.string(),
      fleet: z.string().regex(FLEET_NAME, "expected a short name in lower case"),
    })
    .optional(),
});

/** Or there would be more keys at a time than there are identifiers for them. */
const boundedOverlap = sealed.refine(({ keyMaxAgeSeconds, overlapSeconds }) => overlapSeconds <= keyMaxAgeSeconds, {
  path: ["overlapSeconds"],
  message: "expected at most keyMaxAgeSeconds",
});

const generatedCertificate = z.strictObject({
  certificate: z.literal("generated"),
  /** How long one key and certificate serve new connections. */
  maxAgeSeconds: z.int().min(3_600).max(2_592_000).default(604_800),
});

const providedCertificate = z.strictObject({
  certificate: z.literal("provided"),
  /** PEM, the end-entity certificate first. */
  chain: z.array(z.string()).min(1).max(8),
  /** The private key (PKCS #8 DER), encrypted by AWS KMS under a key of `kms.keys`, with this encryption context. */
  privateKey: z.strictObject({
    ciphertext: z.string(),
    keyId: z.string(),
    encryptionContext: z.record(z.string(), z.string()),
  }),
  /** PEM of the CAs of which one must have issued it, and whatever renews it. */
  issuers: z.array(z.string().refine(isCaCertificate, "expected the PEM of one CA certificate")).min(1).max(16),
  /** How often the parent is asked for a renewed certificate. */
  renewalCheckSeconds: z.int().min(60).max(86_400).default(3_600),
});

const channels = z.strictObject({
  /** The operations that answer over the plain channel, where the parent reads them, each by its name. */
  parent: z.array(operationName).max(100).default([]),
  sealed: boundedOverlap.prefault({}),
  /** Attested TLS; not served where it is left out. */
  tls: z.discriminatedUnion("certificate", [generatedCertificate, providedCertificate]).optional(),
});

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

const authorization = z.strictObject({
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

const schema = z.strictObject({
  version: z.literal(1),
  kms,
  channels,
  authorization,
  messages: messages.prefault({}),
  recipient: recipient.prefault({}),
  limits: limits.prefault({}),
});

/** The configuration as it was written, with defaults filled in. */
export type ConfigurationDocument = z.infer<typeof schema>;

export type AuthorizationConfiguration = ConfigurationDocument["authorization"];
export type IssuerConfiguration = AuthorizationConfiguration["issuers"][number];
export type MessagesConfiguration = ConfigurationDocument["messages"];
export type DataKeysConfiguration = MessagesConfiguration["dataKeys"];
export type BudgetLimits = AuthorizationConfiguration["budgets"];
export type TlsConfiguration = NonNullable<ConfigurationDocument["channels"]["tls"]>;

/** A checked configuration. */
export interface Configuration extends ConfigurationDocument {
  readonly keys: PinnedKeys;
  /** The Regions of KMS, the own one first. */
  readonly regions: readonly string[];
}

/**
 * Parses a configuration.
 * On return every field is of its form, all keys are in the KMS Region, those that have replicas elsewhere can have them, every
 * key name means one key, and a provided certificate's private key, and a fleet's sealing seeds, can be opened by one of them.
 * @throws ServiceError ERR_CONFIGURATION; the message names the field and what was expected of it.
 */
export function parseConfiguration(bytes: Uint8Array): Configuration {
  const document = parseJson(schema, decodeUtf8(bytes), "ERR_CONFIGURATION");
  const { region, keys } = document.kms;
  keys.forEach(({ arn }, index) => {
    if (regionOfKeyArn(arn) === region) return;
    throw new ServiceError("ERR_CONFIGURATION", `kms.keys.${index}.arn: expected a key in the Region of kms.region`);
  });
  const pinned = new PinnedKeys(keys);
  const regions = regionsOf(document);
  assertCertificateOpens(document, pinned);
  assertDataKeys(document, pinned);
  assertSeedsOpen(document, pinned);
  return { ...document, keys: pinned, regions };
}

/** A private key that KMS can never release would be asked for again and again, by an enclave that never serves TLS. */
function assertCertificateOpens(
  { channels: { tls }, kms: { transport } }: ConfigurationDocument,
  keys: PinnedKeys,
): void {
  if (tls?.certificate !== "provided") return;
  if (transport === "gateway") {
    throw new ServiceError("ERR_CONFIGURATION", "channels.tls: the gateway opens no private key, expected a tunnel");
  }
  if (keys.means(tls.privateKey.keyId)) return;
  throw new ServiceError("ERR_CONFIGURATION", "channels.tls.privateKey.keyId: expected a key of kms.keys");
}

/** What keeps keys in memory keeps them by tenant; and over the gateway whoever carries the answers would choose them. */
function assertDataKeys({ messages: { dataKeys }, kms: { transport } }: ConfigurationDocument, keys: PinnedKeys): void {
  if (dataKeys.kind !== "branchKeys") return;
  if (transport === "gateway") {
    throw new ServiceError(
      "ERR_CONFIGURATION",
      "messages.dataKeys: the gateway opens no branch key, expected a tunnel",
    );
  }
  if (keys.means(dataKeys.keyId)) return;
  throw new ServiceError("ERR_CONFIGURATION", "messages.dataKeys.keyId: expected a key of kms.keys");
}

/** A forged answer to Decrypt would make the parent's seed the fleet's (PITFALLS 1). */
function assertSeedsOpen({ channels, kms: { transport } }: ConfigurationDocument, keys: PinnedKeys): void {
  const { shared } = channels.sealed;
  if (shared === undefined) return;
  if (transport === "gateway") {
    throw new ServiceError("ERR_CONFIGURATION", "channels.sealed.shared: the gateway opens no seed, expected a tunnel");
  }
  if (keys.means(shared.keyId)) return;
  throw new ServiceError("ERR_CONFIGURATION", "channels.sealed.shared.keyId: expected a key of kms.keys");
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
