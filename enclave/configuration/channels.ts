/** `channels`: by which of them the enclave is reached, and with which keys (docs/channels.md). */
import { z } from "zod";
import { FLEET_NAME } from "../../shared/sealing-seed.js";
import { caCertificate } from "./ca-certificate.js";

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
  /**
   * The private key (PKCS #8 DER), encrypted by AWS KMS under a key of `kms.keys`, with this encryption context. No caller's
   * operation takes that context under that key: nothing else is to be bound to it.
   */
  privateKey: z.strictObject({
    ciphertext: z.string(),
    keyId: z.string(),
    encryptionContext: z
      .record(z.string(), z.string())
      .refine((pairs) => Object.keys(pairs).length > 0, "expected a context of its own, with one pair at least"),
  }),
  /** PEM of the CAs of which one must have issued it, and whatever renews it. */
  issuers: z.array(caCertificate).min(1).max(16),
  /** How often the parent is asked for a renewed certificate. */
  renewalCheckSeconds: z.int().min(60).max(86_400).default(3_600),
});

export const channels = z.strictObject({
  /** The operations that answer over the plain channel, where the parent reads them, each by its name. */
  parent: z.array(operationName).max(100).default([]),
  sealed: boundedOverlap.prefault({}),
  /** Attested TLS; not served where it is left out. */
  tls: z.discriminatedUnion("certificate", [generatedCertificate, providedCertificate]).optional(),
});
