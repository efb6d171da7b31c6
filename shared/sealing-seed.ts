/**
 * The sealing seeds of a fleet, as its enclaves give them to their parent to keep, and get them back: who gave the first
 * of an epoch gave the one that all use. Nothing in a record is secret, and nothing in it is believed for being there: the
 * ciphertext opens by attested Decrypt alone, and the document says who made it (enclave/channels/sealing-seeds.ts).
 *
 *   GET /sealing-seeds/FLEET/MEASUREMENT         the newest seeds that are kept
 *   PUT /sealing-seeds/FLEET/MEASUREMENT         a seed, if its epoch has none; answered with the one that the epoch has
 */
import * as z from "zod";
import { base64, MAX_CIPHERTEXT_BYTES } from "./wire.js";

/** Kept of a fleet: the one in use, and the one before, which opens requests for its overlap. */
export const KEPT_SEEDS = 2;
export const MAX_EPOCH = 2 ** 31 - 1;
/** A fleet's name. */
export const FLEET_NAME = /^[a-z][a-z0-9-]{0,31}$/;
/** SHA-256 of the registers that all enclaves of a fleet have in common, in hexadecimal. */
export const MEASUREMENT = /^[0-9a-f]{64}$/;

/** Genuine documents have about 5 KiB; two records must fit an answer of 64 KiB. */
const MAX_DOCUMENT_BYTES = 16_384;

export const sealingSeed = z.strictObject({
  epoch: z.int().min(1).max(MAX_EPOCH),
  /** ISO 8601 with milliseconds, of the maker's trusted time. */
  created: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, "expected a time as 2026-01-02T03:04:05.678Z")
    .refine((text) => !Number.isNaN(Date.parse(text)), "expected a time that exists"),
  /** The seed under the fleet's KMS key. */
  ciphertext: base64(1, MAX_CIPHERTEXT_BYTES),
  /** The maker's attestation document, whose `user_data` binds the rest. */
  document: base64(1, MAX_DOCUMENT_BYTES),
});

/** The newest first, each epoch once. */
export const sealingSeeds = z.strictObject({
  seeds: z
    .array(sealingSeed)
    .max(KEPT_SEEDS)
    .refine(
      (seeds) => seeds.every(({ epoch }, index) => epoch < (seeds[index - 1]?.epoch ?? MAX_EPOCH + 1)),
      "expected the newest epoch first, and each once",
    ),
});

export type SealingSeed = z.infer<typeof sealingSeed>;
