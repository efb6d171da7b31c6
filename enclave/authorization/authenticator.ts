/**
 * From what a request brings to who asks: the token, and where it is bound to a key, the proof of possession.
 *
 * A `dpop` header beside an unbound token is ignored. It would prove nothing, since whoever stole the token can make a key
 * of his own, and checking it would only let it fill the memory of proofs. A client that thinks its token is bound says so
 * with the scheme DPoP, and is refused (tokens.ts).
 */
import type { Clock } from "../clock.js";
import type { Credentials, Principal } from "./principal.js";
import type { ProofLimits } from "./proof.js";
import { ProofVerifier } from "./proof.js";
import type { TokenRules } from "./tokens.js";
import { TokenVerifier } from "./tokens.js";

export interface AuthenticatorTime {
  /** Milliseconds since 1970, from a source that the parent cannot set; it may be corrected by less than a proof's window. */
  readonly now: () => number;
  /** How long proofs are remembered is measured on its monotonic time; its wall clock is not asked. */
  readonly clock: Clock;
}

/** Who sent a request. */
export interface Authenticated {
  readonly principal: Principal;
  /**
   * Takes the request's proof, if it has one; to be called before anything is done for the principal. Not part of
   * `authenticate`, so that how much a principal may ask bounds how many proofs of his are remembered.
   * @throws ServiceError ERR_REPLAYED when the proof was taken before; ERR_BUSY when no more can be remembered.
   */
  readonly takeProof: () => void;
}

export class Authenticator {
  readonly #tokens: TokenVerifier;
  readonly #proofs: ProofVerifier;
  readonly #now: () => number;

  private constructor(tokens: TokenVerifier, proofs: ProofVerifier, now: () => number) {
    this.#tokens = tokens;
    this.#proofs = proofs;
    this.#now = now;
  }

  /** An authenticator for the pinned issuers, whose keys are checked and imported. @throws ServiceError ERR_CONFIGURATION. */
  static async create(
    rules: TokenRules,
    limits: ProofLimits,
    { now, clock }: AuthenticatorTime,
  ): Promise<Authenticator> {
    return new Authenticator(await TokenVerifier.create(rules), new ProofVerifier(limits, clock), now);
  }

  /**
   * The principal who sent a request. It does not decide what the principal may do, nor how much.
   * @throws ServiceError ERR_TOKEN_MISSING, ERR_TOKEN_MALFORMED, ERR_TOKEN_UNTRUSTED, ERR_TOKEN_TIME, ERR_TOKEN_BINDING.
   */
  async authenticate(credentials: Credentials): Promise<Authenticated> {
    const nowMs = this.#now();
    const { principal, token, boundTo } = await this.#tokens.verify(credentials.authorization, nowMs);
    if (boundTo === undefined) return { principal, takeProof: () => undefined };
    const proof = await this.#proofs.verify(credentials, { token, boundTo }, nowMs);
    return { principal, takeProof: () => this.#proofs.take(proof) };
  }
}
