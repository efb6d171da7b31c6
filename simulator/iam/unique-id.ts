/** IAM's unique ids (IAM User Guide, "IAM identifiers", "Understanding unique ID prefixes"). */
import { randomBytes } from "node:crypto";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** A new one: four letters for its kind and sixteen of base32. */
export const uniqueId = (prefix: string): string =>
  prefix + [...randomBytes(16)].map((byte) => ALPHABET[byte % 32]).join("");
