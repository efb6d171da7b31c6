/**
 * The client's side of DPoP (RFC 9449): a proof that whoever sends a token holds the private key that the token is bound to.
 * Subset: ES256 keys, no server nonces. Works in browsers and in Node; the enclave's side is
 * enclave/authorization/proof.ts.
 *
 * Proofs name one fixed origin in `htu`, on every channel. Enclaves have no name of their own that a client could rely
 * on: the name in a URL is the parent's. Which enclave a proof is for, the attestation says, and the sealed request or TLS
 * channel that it travels in; PROOF_ORIGIN lies in a domain that never exists (RFC 6761 §6.4), so it cannot be mistaken
 * for somebody.
 */
import { digest, toBase64Url, utf8 } from "./bytes.js";

/** What stands before the path in every proof's `htu`. */
export const PROOF_ORIGIN = "https://enclave.invalid";

/** `typ` of a proof (RFC 9449 §4.2). */
export const PROOF_TYPE = "dpop+jwt";

const ES256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const JTI_BYTES = 16;

export interface ProofRequest {
  /** P-256, for ECDSA; the private key need not be extractable. */
  readonly key: CryptoKeyPair;
  /** The request's method, in upper case. */
  readonly method: string;
  /** The request's path, without query and fragment. */
  readonly path: string;
  /** The token that the request carries. */
  readonly token: string;
  readonly now: Date;
}

/** A new key to bind tokens to. Its private half cannot leave the process that asks, not even by that process's own code. */
export function generateProofKey(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ES256, false, ["sign", "verify"]);
}

/**
 * The value of the `dpop` header for one request; every call makes another `jti`, and the enclave takes each proof once.
 * It does not check that the token is bound to `key`.
 * @throws TypeError when the key is not an ECDSA key on P-256, or the path is none.
 */
export async function createProof({ key, method, path, token, now }: ProofRequest): Promise<string> {
  if (!/^\/[^?#]*$/.test(path)) throw new TypeError("createProof: expected a path without query and fragment");
  const header = { typ: PROOF_TYPE, alg: "ES256", jwk: await publicJwkOf(key.publicKey) };
  const claims = {
    jti: toBase64Url(crypto.getRandomValues(new Uint8Array(JTI_BYTES))),
    htm: method,
    htu: PROOF_ORIGIN + path,
    iat: Math.floor(now.getTime() / 1000),
    ath: await hashOfToken(token),
  };
  const signed = `${encodeJson(header)}.${encodeJson(claims)}`;
  // WebCrypto's ECDSA signatures are r‖s, which is what JWS wants (RFC 7518 §3.4).
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key.privateKey, utf8(signed));
  return `${signed}.${toBase64Url(new Uint8Array(signature))}`;
}

/** `ath`: the hash of a token that a proof goes with (RFC 9449 §4.2). */
export async function hashOfToken(token: string): Promise<string> {
  return toBase64Url(await digest("SHA-256", utf8(token)));
}

/**
 * `jkt`: the SHA-256 thumbprint of a public key (RFC 7638 §3), for an issuer that binds a token to it.
 * @throws TypeError when the key is not an ECDSA key on P-256.
 */
export async function thumbprintOf(publicKey: CryptoKey): Promise<string> {
  const { crv, kty, x, y } = await publicJwkOf(publicKey);
  // RFC 7638 §3.2: the required members alone, in the order of their names, without white space.
  return toBase64Url(await digest("SHA-256", utf8(JSON.stringify({ crv, kty, x, y }))));
}

/** The members that make up an EC public key, and no others. */
async function publicJwkOf(key: CryptoKey): Promise<JsonWebKey> {
  const { name, namedCurve } = key.algorithm as KeyAlgorithm & { namedCurve?: string }; // a curve where there is one
  if (key.type !== "public" || name !== ES256.name || namedCurve !== ES256.namedCurve) {
    throw new TypeError("expected a public ECDSA key on P-256");
  }
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", key);
  return { kty, crv, x, y } as JsonWebKey; // an EC key has all four (RFC 7518 §6.2.1)
}

const encodeJson = (value: object): string => toBase64Url(utf8(JSON.stringify(value)));
