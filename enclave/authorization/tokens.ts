/**
 * Who asks: a JWT (RFC 7519) in the `authorization` header, signed by an issuer that the configuration pins. Profile: RFC 8725
 * (best practices) and RFC 9068 (access tokens) as far as an enclave without network can: algorithms and keys are the
 * configuration's, never the token's; `iss`, `sub`, `aud`, `iat` and `exp` are required; signatures alone, of asymmetric keys.
 *
 * The issuer is looked up by the `iss` that the token claims, literally, and the token is then verified with that issuer's
 * keys and algorithms alone. What is wrong with a token's form is told before its signature is looked at; what is wrong
 * with its times or audience is told only of tokens that are genuine.
 *
 * A token that comes again is not verified again (verified-tokens.ts): of it only what may have changed is checked, its times
 * and its scheme.
 *
 * A token that is bound to a key (`cnf`) comes with the scheme DPoP, any other with Bearer (RFC 9449 §7.1, §7.2). That
 * whoever sends it has that key is for proof.ts to verify.
 */
import { JOSEError } from "jose/errors";
import { jwtVerify } from "jose/jwt/verify";
import { z } from "zod";
import { ServiceError } from "../../shared/errors.js";
import type { AuthorizationConfiguration } from "../configuration.js";
import { numericDate, parseUnverifiedJwt, REFUSED_PARAMETERS } from "./compact-jws.js";
import { boundKeyOf } from "./confirmation.js";
import type { PinnedIssuer } from "./issuers.js";
import { keyFor, pinIssuers } from "./issuers.js";
import type { Principal } from "./principal.js";
import { VerifiedTokens } from "./verified-tokens.js";

/** What tokens are held against. */
export type TokenRules = Pick<AuthorizationConfiguration, "issuers" | "skewSeconds" | "maxTokenAgeSeconds">;

/** A token whose signature, audience and times have been verified. Whoever sent it may yet have stolen it, if it is bound. */
export interface VerifiedToken {
  readonly principal: Principal;
  /** The token as it came. */
  readonly token: string;
  /** The thumbprint of the key that it is bound to, of which possession must be proved; undefined if it is not bound. */
  readonly boundTo: string | undefined;
}

const MAX_TOKEN_LENGTH = 8_192;
const AUTHORIZATION = /^(bearer|dpop) ([^ ]+)$/i;
const REQUIRED_CLAIMS = ["iss", "sub", "aud", "exp", "iat"];
const TIME_CLAIMS = new Set(["exp", "nbf", "iat"]);

const header = z.looseObject({
  ...REFUSED_PARAMETERS,
  alg: z.string().refine((alg) => !/^(none|hs\d*)$/i.test(alg), "expected an algorithm with public keys"),
  kid: z.string().optional(),
  /** RFC 8725 §3.11: what says that it is something else, a proof of possession for one, is no token. */
  typ: z
    .string()
    .regex(/^(application\/)?(at\+)?jwt$/i, "expected JWT or at+jwt")
    .optional(),
});

const claims = z.looseObject({
  iss: z.string(),
  /** It becomes part of names, of log lines and of what policies compare: no control characters, no halves of characters. */
  sub: z.string().regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,256}$/u, "expected 1 to 256 characters, none of control"),
  aud: z.union([z.string(), z.array(z.string())]),
  exp: numericDate,
  iat: numericDate,
  nbf: numericDate.optional(),
});

const PROFILE = { maxLength: MAX_TOKEN_LENGTH, header, claims, code: "ERR_TOKEN_MALFORMED" } as const;

/** What is true of a token at all times. */
interface GenuineToken extends Omit<VerifiedToken, "token"> {
  readonly times: Times;
}

type Times = Pick<z.infer<typeof claims>, "iat" | "exp" | "nbf">;

export class TokenVerifier {
  readonly #issuers: ReadonlyMap<string, PinnedIssuer>;
  readonly #rules: TokenRules;
  readonly #genuine = new VerifiedTokens<GenuineToken>();

  private constructor(issuers: ReadonlyMap<string, PinnedIssuer>, rules: TokenRules) {
    this.#issuers = issuers;
    this.#rules = rules;
  }

  /** A verifier for the pinned issuers, whose keys are checked and imported. @throws ServiceError ERR_CONFIGURATION. */
  static async create(rules: TokenRules): Promise<TokenVerifier> {
    return new TokenVerifier(await pinIssuers(rules.issuers), rules);
  }

  /**
   * Verifies the token in the value of an `authorization` header, at `nowMs`, milliseconds since 1970.
   * It does not verify that the sender has the key that a bound token is bound to.
   * @throws ServiceError ERR_TOKEN_MISSING, ERR_TOKEN_MALFORMED, ERR_TOKEN_UNTRUSTED, ERR_TOKEN_TIME, ERR_TOKEN_BINDING.
   */
  async verify(authorization: string | undefined, nowMs: number): Promise<VerifiedToken> {
    if (!Number.isFinite(nowMs)) throw new TypeError("verify: nowMs is a time"); // every comparison with NaN is false
    const { scheme, token } = splitAuthorization(authorization);
    const { principal, boundTo, times } = this.#genuine.find(token) ?? (await this.#verifyNew(token, nowMs));
    assertTimes(times, this.#rules, nowMs);
    assertScheme(scheme, boundTo);
    return { principal, token, boundTo };
  }

  async #verifyNew(token: string, nowMs: number): Promise<GenuineToken> {
    const unverified = parseUnverifiedJwt(token, PROFILE);
    const issuer = this.#issuers.get(unverified.claims.iss);
    if (!issuer) throw new ServiceError("ERR_TOKEN_UNTRUSTED", "expected a token of a pinned issuer");
    const { alg, kid } = unverified.header;
    const key = keyFor(issuer, alg, kid);
    if (!key) throw new ServiceError("ERR_TOKEN_UNTRUSTED", "expected alg and kid to name one key of the issuer");
    const verified = await this.#verifySignatureAndClaims(token, { issuer, key, nowMs });
    const boundTo = boundKeyOf(verified, issuer.configuration.proofOfPossession);
    const { iat, exp, nbf } = unverified.claims; // of the same text
    const genuine = { principal: principalOf(verified, issuer), boundTo, times: { iat, exp, nbf } };
    this.#genuine.keep(token, genuine);
    return genuine;
  }

  async #verifySignatureAndClaims(token: string, { issuer, key, nowMs }: Verification): Promise<Claims> {
    const { algorithms, audiences } = issuer.configuration;
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms,
        issuer: issuer.configuration.issuer,
        audience: audiences,
        requiredClaims: REQUIRED_CLAIMS,
        clockTolerance: this.#rules.skewSeconds,
        maxTokenAge: this.#rules.maxTokenAgeSeconds,
        currentDate: new Date(nowMs),
      });
      return payload;
    } catch (error) {
      throw refusalOf(error);
    }
  }
}

type Claims = Readonly<Record<string, unknown>>;

interface Verification {
  readonly issuer: PinnedIssuer;
  readonly key: CryptoKey;
  readonly nowMs: number;
}

type Scheme = "bearer" | "dpop";

function splitAuthorization(authorization: string | undefined): { scheme: Scheme; token: string } {
  if (authorization === undefined) throw new ServiceError("ERR_TOKEN_MISSING", "expected an authorization header");
  if (authorization.length > "bearer ".length + MAX_TOKEN_LENGTH) {
    throw new ServiceError("ERR_TOKEN_MALFORMED", `expected a token of at most ${MAX_TOKEN_LENGTH} characters`);
  }
  const [, scheme = "", token = ""] = AUTHORIZATION.exec(authorization) ?? [];
  if (token === "") throw new ServiceError("ERR_TOKEN_MALFORMED", "expected Bearer or DPoP, one space, and a token");
  return { scheme: scheme.toLowerCase() === "dpop" ? "dpop" : "bearer", token };
}

/** The checks of `jwtVerify` (RFC 7519 §4.1.4 to §4.1.6), which a token that comes again does not see. */
function assertTimes({ iat, exp, nbf }: Times, { skewSeconds, maxTokenAgeSeconds }: TokenRules, nowMs: number): void {
  const now = Math.floor(nowMs / 1_000);
  if (nbf !== undefined && nbf > now + skewSeconds) throw notOfThisTime("nbf");
  if (exp <= now - skewSeconds) throw notOfThisTime("exp");
  const ageSeconds = now - iat;
  if (ageSeconds > maxTokenAgeSeconds + skewSeconds || ageSeconds < -skewSeconds) throw notOfThisTime("iat");
}

const notOfThisTime = (claim: string): ServiceError =>
  new ServiceError("ERR_TOKEN_TIME", `expected a token of now, going by ${claim}`);

/** RFC 9449 §7.2: a bound token as Bearer is a downgrade. The other way round there is no key that a proof could be of. */
function assertScheme(scheme: Scheme, boundTo: string | undefined): void {
  if (scheme === (boundTo === undefined ? "bearer" : "dpop")) return;
  const expectation = boundTo === undefined ? "Bearer, as the token is bound to no key" : "DPoP, as the token is bound";
  throw new ServiceError("ERR_TOKEN_BINDING", `expected the scheme ${expectation}`);
}

/** jose's errors carry the claims, so they are told apart and dropped. What is none of them is no refusal, and passes. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof JOSEError)) return error;
  const claim = "claim" in error && typeof error.claim === "string" ? error.claim : "";
  if (TIME_CLAIMS.has(claim)) return notOfThisTime(claim);
  const failure = claim === "" ? "a signature that verifies" : `a token for this service, going by ${claim}`;
  return new ServiceError("ERR_TOKEN_UNTRUSTED", `expected ${failure}`);
}

function principalOf(verified: Claims, { configuration }: PinnedIssuer): Principal {
  const subject = String(verified.sub); // a string of the form above
  return { id: `${configuration.name}/${subject}`, issuer: configuration.name, subject, claims: verified };
}
