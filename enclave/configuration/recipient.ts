/** `recipient`: the RSA key that KMS encrypts its answers to. */
import { z } from "zod";

export const recipient = z.strictObject({
  /** How long one RSA key serves new calls. */
  maxAgeSeconds: z.int().min(60).max(86_400).default(3_600),
  /** How many calls one RSA key serves. */
  maxUses: z.int().min(1).max(1_000_000).default(10_000),
  /** How long one attestation document serves new calls; KMS is said to refuse documents older than 300 s. */
  documentMaxAgeSeconds: z.int().min(0).max(240).default(60),
});

/** What `recipient` is where a configuration leaves it out. */
export const RECIPIENT_DEFAULTS: z.infer<typeof recipient> = Object.freeze(recipient.parse({}));
