/**
 * `connectEnclave`: from a URL to an enclave that is known to be the right one, or to nothing.
 *
 * A document is asked for with a nonce that is new each time (pitfall 9), verified under the caller's trust anchor and
 * appraised against the caller's policy; it binds the keys that requests are sealed to. The request for it carries the
 * nonce and nothing else, and the operations exist only on what comes back afterwards: there is no way to send anything to
 * an enclave that was not appraised, nor to have whoever is in between read it.
 */
import type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
import type { CertificateCache } from "../shared/certificate-cache.js";
import type { TokenSource } from "./caller.js";
import type { ContextWarningOptions } from "./context-warnings.js";
import { contextWatch } from "./context-warnings.js";
import type { Enclave } from "./enclave.js";
import { enclaveOver } from "./enclave.js";
import type { EnclavePolicy } from "./policy.js";
import { CheckedEnclavePolicy } from "./policy.js";
import { openSealedChannel } from "./sealed-channel.js";

/** What every way to connect takes. */
export interface AttestedOptions extends ContextWarningOptions {
  /** The root that the document must chain to: AWS_NITRO_ENCLAVES_ROOT_G1, or a simulation's. */
  readonly trustAnchor: TrustAnchor;
  /** Which enclave it must be. */
  readonly policy: EnclavePolicy;
  /** Who calls: a JWT, or a function that gets one for each call. Without one the enclave refuses its operations. */
  readonly token?: TokenSource;
  /** The key pair (ES256) that the token is bound to, if it is; see `generateProofKey`. */
  readonly proofKey?: CryptoKeyPair;
  /** How long one attestation is relied on, at most; an hour unless given. */
  readonly attestationMaxAgeMs?: number;
  /** The time; the machine's unless given. */
  readonly clock?: () => Date;
  /** Time for each call with its repetitions, and for each attestation; 30 seconds unless given. */
  readonly deadlineMs?: number;
  /** How often a call that does no harm twice is made again when nobody answers, or somebody is busy; 2 unless given. */
  readonly maxRetries?: number;
  /** Before the first repetition; doubled for each further one. 200 ms unless given. */
  readonly retryDelayMs?: number;
  /** Spares the signatures of intermediate certificates that were verified before; see `CertificateCache`. */
  readonly cache?: CertificateCache;
  /** Gives the attempt to connect up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ConnectOptions extends AttestedOptions {
  /** The platform's `fetch` unless given. */
  readonly fetch?: typeof fetch;
}

/**
 * Connects to the enclave behind `url`, the parent's HTTP API, by sealed requests.
 *
 * On return an enclave that satisfies `policy` answered with a document made for this call. Everything that is sent later
 * is sealed to keys that such a document binds. Not hidden from the parent: when and how much is sent.
 *
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE, ERR_TIMEOUT, ERR_MESSAGE_TOO_LARGE, ERR_MESSAGE_MALFORMED (the HTTP
 *   exchange), ERR_OHTTP_MALFORMED (the key configuration), or what the other side refused with; whatever
 *   `verifyAttestation` and then `appraise` throw, ERR_USER_DATA_MISMATCH where the keys are not the enclave's.
 * @throws TypeError when an argument is not of its form; nothing has been sent then.
 */
export async function connectEnclave(url: string | URL, options: ConnectOptions): Promise<Enclave> {
  const settings = checkOptions(options);
  const baseUrl = checkUrl(url);
  // Bound: browsers refuse a `fetch` that is called as a method of something else.
  const http = { baseUrl, fetch: options.fetch ?? globalThis.fetch.bind(globalThis) };
  return enclaveOver(await openSealedChannel({ ...settings, http }, options.signal), settings);
}

const DEFAULTS = { attestationMaxAgeMs: 3_600_000, deadlineMs: 30_000, maxRetries: 2, retryDelayMs: 200 } as const;

/** The options of any way to connect, checked, with what was not given filled in. @throws TypeError */
export function checkOptions({ policy, trustAnchor, cache, token, proofKey, ...options }: AttestedOptions) {
  const clock = options.clock ?? (() => new Date());
  if (token !== undefined && typeof token !== "string" && typeof token !== "function") {
    throw new TypeError("token is a string, or a function that gets one");
  }
  if (proofKey !== undefined && token === undefined) throw new TypeError("proofKey goes with a token");
  return {
    appraiser: { trustAnchor, policy: new CheckedEnclavePolicy(policy), clock, cache },
    caller: { token, proofKey, clock },
    watchContext: contextWatch(options),
    maxAgeMs: positive(options.attestationMaxAgeMs ?? DEFAULTS.attestationMaxAgeMs, "attestationMaxAgeMs"),
    deadlineMs: positive(options.deadlineMs ?? DEFAULTS.deadlineMs, "deadlineMs"),
    retry: {
      maxRetries: natural(options.maxRetries ?? DEFAULTS.maxRetries, "maxRetries"),
      retryDelayMs: positive(options.retryDelayMs ?? DEFAULTS.retryDelayMs, "retryDelayMs"),
    },
  };
}

function positive(value: number, name: string): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new TypeError(`${name} is a positive number`);
}

function natural(value: number, name: string): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= 100) return value;
  throw new TypeError(`${name} is a whole number from 0 to 100`);
}

function checkUrl(url: string | URL): URL {
  const baseUrl = new URL(url);
  if (baseUrl.protocol !== "https:" && baseUrl.protocol !== "http:") throw new TypeError("url is one of http or https");
  if (baseUrl.username !== "" || baseUrl.password !== "") throw new TypeError("url has no credentials in it");
  if (baseUrl.search !== "" || baseUrl.hash !== "") throw new TypeError("url has neither query nor fragment");
  if (!baseUrl.pathname.endsWith("/")) baseUrl.pathname += "/";
  return baseUrl;
}
