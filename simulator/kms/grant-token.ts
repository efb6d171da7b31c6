/**
 * Grant tokens: a grant's id and a code over a number drawn for each token, under a key that the grant keeps. So a grant has
 * as many tokens as it likes without keeping one, and nobody can make one up. Base64url, and they begin as AWS's do.
 */
import type { KeyObject } from "node:crypto";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { concatBytes, utf8 } from "../../shared/bytes.js";

/** A version, then two members of a protocol buffer: the grant's id, and what proves it. */
const HEADER = Uint8Array.of(1, 0x0a, 64);
const SEAL_HEADER = Uint8Array.of(0x22, 48);
const [ID_START, SEAL_START, TOKEN_BYTES] = [3, 69, 117];
const NONCE_BYTES = 16;

/** A new token of the grant. */
export function newGrantToken(grantId: string, tokenKey: KeyObject): string {
  const nonce = randomBytes(NONCE_BYTES);
  const token = concatBytes(HEADER, utf8(grantId), SEAL_HEADER, nonce, codeOf(grantId, nonce, tokenKey));
  return Buffer.from(token).toString("base64url");
}

/** The id of the grant that the token claims to be of; undefined if it is no token at all. */
export function claimedGrantId(token: string): string | undefined {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length !== TOKEN_BYTES || bytes.toString("base64url") !== token) return undefined;
  const headers = [bytes.subarray(0, ID_START), bytes.subarray(SEAL_START - 2, SEAL_START)];
  if (!headers[0]?.equals(HEADER) || !headers[1]?.equals(SEAL_HEADER)) return undefined;
  return bytes.toString("latin1", ID_START, SEAL_START - 2);
}

/** Whether a token that claims `grantId` was made with that grant's key. */
export function isGenuine(token: string, grantId: string, tokenKey: KeyObject): boolean {
  const seal = Buffer.from(token, "base64url").subarray(SEAL_START);
  return timingSafeEqual(codeOf(grantId, seal.subarray(0, NONCE_BYTES), tokenKey), seal.subarray(NONCE_BYTES));
}

const codeOf = (grantId: string, nonce: Uint8Array, tokenKey: KeyObject): Buffer =>
  createHmac("sha256", tokenKey).update(grantId).update(nonce).digest();
