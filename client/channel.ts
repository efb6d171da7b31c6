/** What carries a call to an enclave that was attested, and brings its answer back: sealed requests or attested TLS. */
import type { AppraisedAttestation } from "../shared/attestation/appraise.js";
import type { ErrorCode } from "../shared/errors.js";
import { ServiceError } from "../shared/errors.js";
import { decodeUtf8, errorOfProblem, PROBLEM_JSON } from "../shared/wire.js";

export interface ChannelCall {
  /** The operation's name: its path below /v1/. */
  readonly operation: string;
  /** JSON. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Header fields by lower-case name, the caller's credentials among them. */
  readonly fields: Readonly<Record<string, string>>;
  readonly maxResponseBytes: number;
  /** Whether it does no harm when the enclave gets it twice. */
  readonly idempotent: boolean;
  readonly signal: AbortSignal;
}

export interface Channel {
  /** What the newest session rests on. */
  readonly attestation: AppraisedAttestation;
  /**
   * One call, attested anew where that is due. Returns the JSON of the answer.
   * @throws ServiceError the enclave's refusal; ERR_ENCLAVE_UNAVAILABLE, and what attesting throws.
   */
  call(call: ChannelCall): Promise<Uint8Array>;
  close(): void;
}

/** What whoever carries a request can truly say; all else is the enclave's to say, and comes through the channel. */
const CARRIER_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_BUSY",
  "ERR_DECRYPTION_FAILED",
  "ERR_ENCLAVE_UNAVAILABLE",
  "ERR_KEY_CONFIGURATION",
  "ERR_MESSAGE_TOO_LARGE",
  "ERR_NSM",
  "ERR_OHTTP_MALFORMED",
  "ERR_TIMEOUT",
]);

/** The error that an answer with a status other than 200 stands for. */
export const refusalOf = (contentType: string, body: Uint8Array): ServiceError =>
  errorOfProblem(contentType === PROBLEM_JSON ? jsonOrUndefined(body) : undefined);

/** Likewise, of an answer that anybody on the way can have made: it is not believed to speak for the enclave. */
export function carrierRefusalOf(contentType: string, body: Uint8Array): ServiceError {
  const refusal = refusalOf(contentType, body);
  if (CARRIER_CODES.has(refusal.code)) return refusal;
  return new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "whoever carries the requests refused", { cause: refusal });
}

function jsonOrUndefined(body: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(body));
  } catch {
    return undefined; // not a problem document: the caller says so
  }
}
