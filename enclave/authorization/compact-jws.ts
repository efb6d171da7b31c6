/**
 * The form of a signed JWT (RFC 7519) in the compact serialisation (RFC 7515 §7.1), for tokens and for proofs of
 * possession: three non-empty segments of canonical base64url, a header and claims that are JSON objects in strict UTF-8.
 * Nothing is verified here; whoever reads the result may use it to look up a key, and for nothing else.
 *
 * Refused in every header: critical parameters (`crit`, and so `b64`), keys and pointers to keys (`jwk`, `jku`, `x5u`, `x5c`;
 * a proof's own `jwk` is its profile's exception), nested tokens (`cty`) and what belongs to encrypted ones (`enc`, `zip`).
 * Other unknown parameters are ignored (RFC 7515 §4).
 */
import { z } from "zod";
import { fromBase64Url } from "../../shared/bytes.js";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import { parseJson } from "../../shared/wire.js";

/** What the header and the claims must be like, and how a refusal is called. */
export interface JwtProfile<H, C> {
  readonly maxLength: number;
  readonly header: z.ZodType<H>;
  readonly claims: z.ZodType<C>;
  readonly code: ErrorCode;
}

export interface UnverifiedJwt<H, C> {
  readonly header: H;
  readonly claims: C;
}

const refused = z.undefined({ error: "expected no such parameter" }).optional();

/** Header parameters that no token and no proof may have; see above. */
export const REFUSED_PARAMETERS = {
  crit: refused,
  b64: refused,
  jwk: refused,
  jku: refused,
  x5u: refused,
  x5c: refused,
  cty: refused,
  enc: refused,
  zip: refused,
} as const;

/** NumericDate (RFC 7519 §2) from 1970 to 9999. JSON has numbers that become infinite, and would never expire. */
export const numericDate = z.number().min(0).max(253_402_300_799);

const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;

/** Header and claims of a JWT, not verified. @throws ServiceError with the profile's code. */
export function parseUnverifiedJwt<H, C>(text: string, profile: JwtProfile<H, C>): UnverifiedJwt<H, C> {
  const { maxLength, code } = profile;
  if (text.length > maxLength) throw new ServiceError(code, `expected a JWT of at most ${maxLength} characters`);
  const [, header = "", claims = "", signature = ""] = COMPACT.exec(text) ?? [];
  // WebCrypto's and jose's readers take other spellings of the same bytes; one token has one spelling.
  if (header === "" || fromBase64Url(signature) === undefined) {
    throw new ServiceError(code, "expected a JWT of three segments of base64url");
  }
  return {
    header: parseJson(profile.header, decodeText(header, code), code),
    claims: parseJson(profile.claims, decodeText(claims, code), code),
  };
}

function decodeText(segment: string, code: ErrorCode): string {
  const bytes = fromBase64Url(segment);
  if (bytes === undefined) throw new ServiceError(code, "expected a JWT of three segments of base64url");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ServiceError(code, "expected the segments of the JWT to be UTF-8");
  }
}
