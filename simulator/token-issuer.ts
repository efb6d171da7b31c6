/**
 * An issuer of tokens (JWT, RFC 9068) for tests and for trying things out: real keys and real signatures, under an issuer URL
 * in a domain that never exists (RFC 6761 §6.4). Nobody trusts it whose configuration does not name its keys.
 */
import { calculateJwkThumbprint } from "jose/jwk/thumbprint";
import { SignJWT } from "jose/jwt/sign";
import { exportJWK } from "jose/key/export";
import { generateKeyPair } from "jose/key/generate/keypair";
import type { Clock } from "./clock.js";
import { systemClock } from "./clock.js";

export type TokenAlgorithm =
  | "ES256"
  | "ES384"
  | "ES512"
  | "EdDSA"
  | "PS256"
  | "PS384"
  | "PS512"
  | "RS256"
  | "RS384"
  | "RS512";

export interface TokenIssuerOptions {
  /** `iss`. */
  readonly issuer?: string;
  /** `aud`. */
  readonly audience?: string;
  readonly algorithm?: TokenAlgorithm;
  readonly clock?: Clock;
}

export interface TokenRequest {
  /** `sub`. */
  readonly subject: string;
  /** Further claims. One that the issuer sets itself takes the place of what it would have set, for tests of refusals. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly lifetimeSeconds?: number;
  /** The thumbprint of the key to bind the token to (RFC 9449 §6.1); `thumbprintOf` makes one. */
  readonly boundTo?: string;
}

/** A public key in JSON (RFC 7517). */
export type IssuerJwk = Record<string, unknown>;

export interface TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
  /** The public key. */
  readonly jwks: { readonly keys: IssuerJwk[] };
  /** What an enclave's configuration needs in `authorization.issuers` to take these tokens. */
  readonly configuration: IssuerFragment;
  issue(request: TokenRequest): Promise<string>;
}

/** One entry of `authorization.issuers`. */
export interface IssuerFragment {
  name: string;
  issuer: string;
  audiences: string[];
  algorithms: TokenAlgorithm[];
  jwks: { keys: IssuerJwk[] };
  proofOfPossession: "whereBound" | "required";
}

const DEFAULT_LIFETIME_SECONDS = 300;

/** Makes an issuer with a new key, named "idp" in configurations. */
export async function createTokenIssuer(options: TokenIssuerOptions = {}): Promise<TokenIssuer> {
  const { issuer = "https://issuer.simulated.invalid", audience = "https://enclave.simulated.invalid" } = options;
  const { algorithm = "ES256", clock = systemClock } = options;
  const { privateKey, publicKey } = await generateKeyPair(algorithm);
  const members = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(members);
  const keys = (): IssuerJwk[] => [{ ...members, kid, alg: algorithm, use: "sig" }];
  const sign = (claims: Readonly<Record<string, unknown>>): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: "at+jwt", kid }).sign(privateKey);
  return {
    issuer,
    audience,
    jwks: { keys: keys() },
    configuration: {
      name: "idp",
      issuer,
      audiences: [audience],
      algorithms: [algorithm],
      jwks: { keys: keys() },
      proofOfPossession: "whereBound",
    },
    issue: (request) => sign({ iss: issuer, aud: audience, ...claimsOf(request, clock()) }),
  };
}

function claimsOf(request: TokenRequest, now: Date): Record<string, unknown> {
  const { subject, claims, lifetimeSeconds = DEFAULT_LIFETIME_SECONDS, boundTo } = request;
  const iat = Math.floor(now.getTime() / 1000);
  const cnf = boundTo === undefined ? {} : { cnf: { jkt: boundTo } };
  return { sub: subject, iat, exp: iat + lifetimeSeconds, ...cnf, ...claims };
}
