/**
 * Proofs of possession (DPoP, RFC 9449 §4.3): that whoever sends a bound token has the key that it is bound to. A proof is
 * for one request: its method and path, its token, and now; and it is taken once.
 *
 * Subset: no server nonces (§8), as the window and the memory of proofs bound their use already; `exp` and `nbf` of a
 * proof are not looked at, for the same reason. `htu` is compared literally (shared/proof-of-possession.ts says what is in
 * it). The thumbprint is compared before any signature is verified, so only keys that an issuer has vouched for are used.
 */
import { calculateJwkThumbprint } from "jose/jwk/thumbprint";
import { compactVerify } from "jose/jws/compact/verify";
import { z } from "zod";
import { equalBytes, utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { hashOfToken, PROOF_ORIGIN, PROOF_TYPE } from "../../shared/proof-of-possession.js";
import type { Clock } from "../clock.js";
import { ReplayStore } from "../replay-store.js";
import { numericDate, parseUnverifiedJwt, REFUSED_PARAMETERS } from "./compact-jws.js";
import type { Credentials } from "./principal.js";
import type { PublicJwk } from "./public-key.js";
import { importPublicKey, isForAlgorithm, publicJwk, requiredMembers } from "./public-key.js";

export interface ProofLimits {
  /** How far a proof's `iat` may be from the enclave's clock, either way. */
  readonly windowSeconds: number;
  /** Proofs that are remembered, so that none is taken twice; when so many are, further ones are refused. */
  readonly maxRemembered: number;
}

/** The token that a proof must go with. */
export interface BoundToken {
  readonly token: string;
  /** The thumbprint of the key that it is bound to. */
  readonly boundTo: string;
}

const MAX_PROOF_LENGTH = 4_096;

/**
 * A proof fits for two windows: from one before its `iat` to one after. One more is for `now`, which is corrected at times and
 * may go back, and for a proof whose time was checked long before it was remembered.
 */
const WINDOWS_REMEMBERED = 3;

const header = z.looseObject({
  ...REFUSED_PARAMETERS,
  typ: z.literal(PROOF_TYPE),
  alg: z.enum(["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "PS384", "PS512"]),
  jwk: publicJwk,
});

const claims = z.looseObject({
  jti: z.string().min(8).max(128),
  htm: z.string(),
  htu: z.string(),
  iat: numericDate,
  ath: z.string(),
});

const PROFILE = { maxLength: MAX_PROOF_LENGTH, header, claims, code: "ERR_TOKEN_BINDING" } as const;

type ProofClaims = z.infer<typeof claims>;

export class ProofVerifier {
  readonly #windowMs: number;
  readonly #seen: ReplayStore;

  constructor({ windowSeconds, maxRemembered }: ProofLimits, clock: Clock) {
    this.#windowMs = windowSeconds * 1000;
    this.#seen = new ReplayStore("a proof of possession", clock, {
      lifetimeMs: WINDOWS_REMEMBERED * this.#windowMs,
      maxEntries: maxRemembered,
    });
  }

  /**
   * Verifies the proof in the `dpop` header of a request that carries `bound`, at `nowMs`, and names it. `nowMs` must not
   * go back by more than one window.
   * It does not verify the token, nor look whether the proof was seen before: that is for `take`.
   * @throws ServiceError ERR_TOKEN_BINDING.
   */
  async verify(request: Credentials, bound: BoundToken, nowMs: number): Promise<string> {
    if (request.dpop === undefined) throw refused("a proof in the dpop header");
    const unverified = parseUnverifiedJwt(request.dpop, PROFILE);
    await assertBoundKey(unverified.header.jwk, bound.boundTo);
    await verifySignature(request.dpop, unverified.header);
    // From here on the claims are the key holder's own.
    assertRequest(unverified.claims, request);
    if (unverified.claims.ath !== (await hashOfToken(bound.token))) throw refused("the hash of this token in ath");
    this.#assertTime(unverified.claims.iat, nowMs);
    return `${bound.boundTo} ${unverified.claims.jti}`; // by key, so that no two holders can collide
  }

  /**
   * Takes note of a proof, by the name that `verify` gave it: so that nobody but the key's holder can spoil a jti.
   * @throws ServiceError ERR_REPLAYED when it was seen before; ERR_BUSY when no more can be remembered.
   */
  take(proof: string): void {
    this.#seen.remember(proof);
  }

  #assertTime(iat: number, nowMs: number): void {
    if (Math.abs(nowMs - iat * 1000) <= this.#windowMs) return;
    throw refused(`an iat within ${this.#windowMs / 1000} seconds of the enclave's clock`);
  }
}

const refused = (expectation: string): ServiceError =>
  new ServiceError("ERR_TOKEN_BINDING", `expected a proof of possession with ${expectation}`);

/** §4.3 (12): the proof's key is the one that the token is bound to. */
async function assertBoundKey(jwk: PublicJwk, boundTo: string): Promise<void> {
  const thumbprint = await calculateJwkThumbprint(requiredMembers(jwk), "sha256");
  if (!equalBytes(utf8(thumbprint), utf8(boundTo))) throw refused("the key that the token is bound to");
}

async function verifySignature(proof: string, { alg, jwk }: z.infer<typeof header>): Promise<void> {
  if (!isForAlgorithm(jwk, alg)) throw refused("a key for its algorithm");
  try {
    await compactVerify(proof, await importPublicKey(jwk, alg), { algorithms: [alg] });
  } catch {
    throw refused("a valid key and a signature that verifies"); // errors of the import may hold parts of the key
  }
}

/** §4.3 (8), (9). */
function assertRequest({ htm, htu }: ProofClaims, { method, path }: Credentials): void {
  if (htm !== method) throw refused("the request's method in htm");
  if (htu !== PROOF_ORIGIN + path) throw refused("the fixed origin and the request's path in htu");
}
