/**
 * `connectEnclave`: from a URL to an enclave that is known to be the right one, or to nothing.
 *
 * A document is asked for with a nonce that is new each time (pitfall 9), verified under the caller's trust anchor and
 * appraised against the caller's policy. The request for it carries the nonce and nothing else, and the operations exist
 * only on what comes back afterwards: there is no way to send a ciphertext to an enclave that was not appraised.
 */
import type { AppraisedAttestation } from "../shared/attestation/appraise.js";
import { appraise } from "../shared/attestation/appraise.js";
import type { TrustAnchor } from "../shared/attestation/trust-anchor.js";
import { verifyAttestation } from "../shared/attestation/verify.js";
import { toBase64Url } from "../shared/bytes.js";
import type { CertificateCache } from "../shared/certificate-cache.js";
import { attestationResponse, bytesOf } from "../shared/wire.js";
import type { Enclave } from "./enclave.js";
import { enclaveAt } from "./enclave.js";
import type { HttpOptions } from "./http.js";
import { requestJson } from "./http.js";
import type { EnclavePolicy } from "./policy.js";
import { withNonce } from "./policy.js";

export interface ConnectOptions {
  /** The root that the document must chain to: AWS_NITRO_ENCLAVES_ROOT_G1, or a simulation's. */
  readonly trustAnchor: TrustAnchor;
  /** Which enclave it must be. */
  readonly policy: EnclavePolicy;
  /** The time; the machine's unless given. */
  readonly clock?: () => Date;
  /** The platform's `fetch` unless given. */
  readonly fetch?: typeof fetch;
  /** Time for each request and its answer; 30 seconds unless given. */
  readonly deadlineMs?: number;
  /** Spares the signatures of intermediate certificates that were verified before; see `CertificateCache`. */
  readonly cache?: CertificateCache;
  /** Gives the attempt up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const NONCE_BYTES = 32;
const DEFAULT_DEADLINE_MS = 30_000;
/** A document of 16 KiB in base64, in JSON. */
const MAX_ATTESTATION_ANSWER_BYTES = 32 * 1024;

/**
 * Connects to the enclave behind `url`, the parent's HTTP API.
 *
 * On return an enclave that satisfies `policy` answered with a document made for this call. It does not check who else
 * sits between: in this version the operations themselves travel through the parent in plain.
 *
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE, ERR_TIMEOUT, ERR_MESSAGE_TOO_LARGE, ERR_MESSAGE_MALFORMED (the HTTP
 *   exchange), or what the other side refused with; whatever `verifyAttestation` and then `appraise` throw.
 * @throws TypeError when the URL is not one of http or https, a dimension of the policy is missing, or a set of reference
 *   values does not name PCR 0, 1 and 2; nothing has been sent then.
 */
export async function connectEnclave(url: string | URL, options: ConnectOptions): Promise<Enclave> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const http = httpOptions(url, options);
  const attestation = await attest(http, nonce, options);
  return enclaveAt(http, attestation);
}

async function attest(http: HttpOptions, nonce: Uint8Array, options: ConnectOptions): Promise<AppraisedAttestation> {
  const { trustAnchor, clock = () => new Date(), cache, signal } = options;
  const policy = withNonce(options.policy, nonce); // before anything is sent: a wrong policy is the program's mistake
  const { document } = await requestJson(http, {
    method: "GET",
    path: `attestation?nonce=${toBase64Url(nonce)}`,
    response: attestationResponse,
    maxResponseBytes: MAX_ATTESTATION_ANSWER_BYTES,
    signal,
  });
  const now = clock();
  return appraise(
    await verifyAttestation(bytesOf(document), { trustAnchor, now, ...(cache ? { cache } : {}) }),
    policy,
  );
}

function httpOptions(
  url: string | URL,
  { fetch: given, deadlineMs = DEFAULT_DEADLINE_MS }: ConnectOptions,
): HttpOptions {
  const baseUrl = new URL(url);
  if (baseUrl.protocol !== "https:" && baseUrl.protocol !== "http:") throw new TypeError("url is one of http or https");
  if (baseUrl.username !== "" || baseUrl.password !== "") throw new TypeError("url has no credentials in it");
  if (baseUrl.search !== "" || baseUrl.hash !== "") throw new TypeError("url has neither query nor fragment");
  if (!baseUrl.pathname.endsWith("/")) baseUrl.pathname += "/";
  if (!(Number.isFinite(deadlineMs) && deadlineMs > 0)) throw new TypeError("deadlineMs is a positive number");
  // Bound: browsers refuse a `fetch` that is called as a method of something else.
  return { baseUrl, fetch: given ?? globalThis.fetch.bind(globalThis), deadlineMs };
}
