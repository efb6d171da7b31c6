/** `cnf` (RFC 7800): which key a token is bound to. Taken is `jkt` alone (RFC 9449 §6.1), the thumbprint of a key for DPoP. */
import { z } from "zod";
import { fromBase64Url } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { parseWith } from "../../shared/wire.js";
import type { IssuerConfiguration } from "../configuration.js";

const SHA256_BYTES = 32;

/** Any other member would be a condition that nobody checks: a certificate's thumbprint (RFC 8705), for one. */
const confirmation = z.strictObject({
  jkt: z.string().refine((jkt) => fromBase64Url(jkt)?.length === SHA256_BYTES, "expected a SHA-256 thumbprint"),
});

/**
 * The thumbprint of the key that a verified token is bound to, or undefined if it is not bound.
 * @throws ServiceError ERR_TOKEN_BINDING when it is bound in another way, or is not bound and must be.
 */
export function boundKeyOf(
  claims: Readonly<Record<string, unknown>>,
  proofOfPossession: IssuerConfiguration["proofOfPossession"],
): string | undefined {
  if (claims.cnf !== undefined) return parseWith(confirmation, claims.cnf, "ERR_TOKEN_BINDING").jkt;
  if (proofOfPossession === "whereBound") return undefined;
  throw new ServiceError("ERR_TOKEN_BINDING", "expected a token that is bound to a key");
}
