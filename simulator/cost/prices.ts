/**
 * AWS's public price list for KMS, in US dollars: https://aws.amazon.com/kms/pricing/, us-east-1, as of 2026-11-24. Other
 * Regions have the same or similar prices.
 */

/** For 10,000 requests. */
export const PRICES = {
  standard: 0.03,
  "RSA 2048": 0.03,
  asymmetric: 0.15,
  "ECC data key pair": 0.1,
  "RSA data key pair": 12,
} as const;

export type PriceClass = keyof typeof PRICES;

export const PRICED_REQUESTS = 10_000;

/** For a key and a month. The first and the second rotation add as much each, later ones nothing. */
export const KEY_MONTH_PRICE = 1;
export const PRICED_ROTATIONS = 2;

/** Requests of a month, over all Regions, that cost nothing. Only `standard` ones count. */
export const FREE_REQUESTS = 20_000;
