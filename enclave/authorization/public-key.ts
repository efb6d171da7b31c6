/**
 * Public keys in JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2): RSA, EC on P-256, P-384 and P-521, and Ed25519. Symmetric keys
 * and private parts are refused; members that say nothing of the key itself are left out before it is imported.
 */
import { importJWK } from "jose/key/import";
import { z } from "zod";

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

const secret = z.undefined({ error: "expected a public key, without private members" }).optional();

/** Private members of all key types (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
const PRIVATE_MEMBERS = {
  d: secret,
  p: secret,
  q: secret,
  dp: secret,
  dq: secret,
  qi: secret,
  oth: secret,
  k: secret,
  priv: secret,
} as const;

const base64Url = z.string().regex(/^[A-Za-z0-9_-]{1,2048}$/, "expected base64url");

const SHARED_MEMBERS = {
  ...PRIVATE_MEMBERS,
  kid: z.string().min(1).max(256).optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
  key_ops: z.array(z.string()).optional(),
} as const;

/** What is not known is ignored, as RFC 7517 §4 says: certificates, for one. */
export const publicJwk = z.discriminatedUnion(
  "kty",
  [
    z.object({ ...SHARED_MEMBERS, kty: z.literal("RSA"), n: base64Url, e: base64Url }),
    z.object({
      ...SHARED_MEMBERS,
      kty: z.literal("EC"),
      crv: z.enum(["P-256", "P-384", "P-521"]),
      x: base64Url,
      y: base64Url,
    }),
    z.object({ ...SHARED_MEMBERS, kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: base64Url }),
  ],
  "expected a public key of type RSA, EC or OKP",
);

export type PublicJwk = z.infer<typeof publicJwk>;

/** Algorithms by what a key must be for them (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864). */
const ALGORITHMS: Readonly<Record<"RSA" | "P-256" | "P-384" | "P-521" | "Ed25519", readonly string[]>> = {
  RSA: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  "P-256": ["ES256"],
  "P-384": ["ES384"],
  "P-521": ["ES512"],
  Ed25519: ["EdDSA", "Ed25519"],
};

/** Whether a key may verify signatures of `algorithm`, going by its type and by what it says of its use. */
export function isForAlgorithm(jwk: PublicJwk, algorithm: string): boolean {
  const isOfItsType = ALGORITHMS[jwk.kty === "RSA" ? "RSA" : jwk.crv].includes(algorithm);
  const isSaidToBe = jwk.alg === undefined || jwk.alg === algorithm;
  const isToVerify = (jwk.use ?? "sig") === "sig" && (jwk.key_ops ?? ["verify"]).includes("verify");
  return isOfItsType && isSaidToBe && isToVerify;
}

/** The members that make up the key (RFC 7638 §3.2). */
export function requiredMembers(jwk: PublicJwk): { kty: string } & Record<string, string> {
  switch (jwk.kty) {
    case "RSA":
      return { kty: jwk.kty, n: jwk.n, e: jwk.e };
    case "EC":
      return { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y };
    case "OKP":
      return { kty: jwk.kty, crv: jwk.crv, x: jwk.x };
  }
}

/**
 * A key to verify with. On return a point is on its curve, and an RSA modulus has 2048 to 8192 bits.
 * @throws Error of some kind when it is not such a key; its text may hold input and is to be dropped.
 */
export async function importPublicKey(jwk: PublicJwk, algorithm: string): Promise<CryptoKey> {
  const key = await importJWK(requiredMembers(jwk), algorithm);
  if (key instanceof Uint8Array) throw new TypeError("unreachable: only symmetric keys are imported as bytes");
  const bits = "modulusLength" in key.algorithm ? Number(key.algorithm.modulusLength) : MIN_RSA_BITS;
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) throw new RangeError("the modulus has too few or too many bits");
  return key;
}
