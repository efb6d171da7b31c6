/**
 * Whether an imported RSA key is one: its parsing tells only that every number is there. A key whose numbers do not belong
 * together would sign what nobody can verify.
 */
import type { KeyObject } from "node:crypto";
import { constants, privateEncrypt, publicDecrypt } from "node:crypto";
import { equalBytes } from "../../../shared/bytes.js";

/** FIPS 186-5 §A.1.1: the public exponent is odd and above 2^16. */
const MIN_EXPONENT = 0x10000n;

/** SP 800-56B §6.4.1.2.3, with the round trip in place of a proof that p and q are prime. */
export function isSoundRsa(privateKey: KeyObject): boolean {
  const { n, e, d, p, q, dp, dq, qi } = privateKey.export({ format: "jwk" });
  const [modulus, exponent, first, second] = [number(n), number(e), number(p), number(q)];
  if (exponent <= MIN_EXPONENT || exponent % 2n === 0n || modulus % 2n === 0n) return false;
  if (first < 2n || second < 2n || first * second !== modulus) return false;
  const inverse = (factor: string | undefined, prime: bigint) => (number(factor) * exponent) % (prime - 1n) === 1n;
  const isInverse = [d, dp].every((one) => inverse(one, first)) && [d, dq].every((one) => inverse(one, second));
  return isInverse && (number(qi) * second) % first === 1n && makesTheRound(privateKey, n);
}

/** RSADP after RSAEP (RFC 8017 §5.1), of a representative in the middle of the range. */
function makesTheRound(privateKey: KeyObject, n = ""): boolean {
  const padding = constants.RSA_NO_PADDING;
  const representative = Buffer.alloc(Buffer.from(n, "base64url").length, 0x5a);
  return equalBytes(
    publicDecrypt({ key: privateKey, padding }, privateEncrypt({ key: privateKey, padding }, representative)),
    representative,
  );
}

const number = (base64url = ""): bigint => BigInt(`0x0${Buffer.from(base64url, "base64url").toString("hex")}`);
