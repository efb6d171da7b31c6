/**
 * The enclave's own time. The wall clock that an enclave sees may be turned by the parent instance (PITFALLS 12); the
 * NSM's may not: every attestation document carries the time at which the device made it. So the present is the
 * timestamp of the newest document and what the monotonic clock has counted since. The dates of tokens and of sealed
 * requests are judged by it.
 *
 * The other clocks are watched and told in health, not used: a wall clock or a KMS that disagrees is worth a look.
 */
import { parseAttestationDocument } from "../shared/attestation/document.js";
import { ServiceError } from "../shared/errors.js";
import type { Clock } from "./clock.js";

/** How the clocks disagree, in milliseconds; null where nothing is known. */
export interface TimeState {
  /** Since the newest document. */
  readonly documentAgeSeconds: number | null;
  /** The wall clock, ahead of the NSM's. */
  readonly wallAheadMs: number | null;
  /** The `Date` of the newest answer of KMS, ahead of the NSM's time then. It has whole seconds. */
  readonly kmsAheadMs: number | null;
  /** What the monotonic clock counted more than the NSM's between the two newest documents. */
  readonly monotonicAheadMs: number | null;
}

interface Anchor {
  readonly nsmMs: number;
  readonly monotonicMs: number;
}

export class AttestedTime {
  readonly #clock: Clock;
  #anchor: Anchor | undefined;
  #kmsAheadMs: number | null = null;
  #monotonicAheadMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the time from a document that the enclave's own NSM has just made. @throws ServiceError as the parser of documents. */
  observeDocument(document: Uint8Array): void {
    const next = { nsmMs: parseAttestationDocument(document).timestampMs, monotonicMs: this.#clock.monotonicMs() };
    const last = this.#anchor;
    if (last) this.#monotonicAheadMs = Math.round(next.monotonicMs - last.monotonicMs - (next.nsmMs - last.nsmMs));
    this.#anchor = next;
  }

  /** Notes the `Date` header of an answer of KMS (RFC 9110 §6.6.1); what is no date says nothing. */
  observeKmsDate(date: string | undefined): void {
    const ms = date === undefined ? Number.NaN : Date.parse(date);
    if (this.#anchor && Number.isFinite(ms)) this.#kmsAheadMs = Math.round(ms - this.nowMs());
  }

  /** Milliseconds since 1970. @throws ServiceError ERR_NSM before the first document. */
  nowMs(): number {
    if (this.#anchor === undefined)
      throw new ServiceError("ERR_NSM", "expected a document with the time, none was made yet");
    return this.#anchor.nsmMs + (this.#clock.monotonicMs() - this.#anchor.monotonicMs);
  }

  get state(): TimeState {
    const anchor = this.#anchor;
    return {
      documentAgeSeconds: anchor ? Math.floor((this.#clock.monotonicMs() - anchor.monotonicMs) / 1_000) : null,
      wallAheadMs: anchor ? Math.round(this.#clock.now().getTime() - this.nowMs()) : null,
      kmsAheadMs: this.#kmsAheadMs,
      monotonicAheadMs: this.#monotonicAheadMs,
    };
  }
}
