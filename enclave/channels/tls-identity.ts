/**
 * The certificate and key that new TLS connections are served with, kept fresh: a generated one is replaced by age, a
 * provided one when the parent offers a renewal that is taken (provided-certificate.ts). Connections keep what they began
 * with. Ages are counted on the monotonic clock (PITFALLS 12).
 *
 * Nothing here stops the enclave: what fails is logged with its code, stands in `state`, and is tried again, while the
 * certificate in use stays in use. Until there is a first one, no TLS connection is served.
 */
import type { ErrorCode } from "../../shared/errors.js";
import { toServiceError } from "../../shared/errors.js";
import type { Clock } from "../clock.js";
import { withinDeadline } from "../deadline.js";
import type { Logger } from "../log.js";
import type { CertificateSource } from "./certificate-source.js";
import type { ServedCertificate } from "./served-certificate.js";

/** How the certificate stands, for health. */
export interface TlsIdentityState {
  readonly kind: CertificateSource["kind"];
  readonly status: "none" | "serving";
  /** When the certificate in use, or one above it, ends: ISO 8601. */
  readonly notAfter: string | undefined;
  /** Why the last attempt to get a certificate failed; undefined when it did not. */
  readonly failure: ErrorCode | undefined;
}

export interface TlsIdentityOptions {
  readonly source: CertificateSource;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A source has this long, the parent and KMS included. */
const ATTEMPT_MS = 60_000;
/** Between rounds that fail, doubled each time up to the second. */
const RETRY_MS = { first: 1_000, longest: 60_000 };

type Listener = (certificate: ServedCertificate) => void;

export class TlsIdentity {
  readonly #source: CertificateSource;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #listeners = new Set<Listener>();
  #current: ServedCertificate | undefined;
  #failure: ErrorCode | undefined;
  /** Rounds that ended in a failure, one after the other. */
  #failures = 0;
  #cancelTimer = (): void => undefined;
  #closed = false;

  constructor({ source, clock, log }: TlsIdentityOptions) {
    this.#source = source;
    this.#clock = clock;
    this.#log = log;
  }

  /** What new connections are served with; undefined until there is one. */
  get current(): ServedCertificate | undefined {
    return this.#current;
  }

  get state(): TlsIdentityState {
    const notAfter = this.#current?.notAfter.toISOString();
    const status = this.#current === undefined ? "none" : "serving";
    return { kind: this.#source.kind, status, notAfter, failure: this.#failure };
  }

  /**
   * Begins, once. A generated certificate is there on return unless that failed; a provided one comes when KMS has opened
   * its key, which is not waited for: the enclave starts without KMS. Never rejects.
   */
  async start(): Promise<void> {
    const begun = this.#refresh();
    if (this.#source.kind === "generated") await begun;
  }

  /** Calls `listener` with every certificate that takes another's place, the first one included. */
  onChange(listener: Listener): void {
    this.#listeners.add(listener);
  }

  /** Ends the renewing and forgets the key. Connections that stand are not its own to end. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    this.#listeners.clear();
    this.#current = undefined;
  }

  /** One round: the certificate to begin with where there is none, and whatever follows it. Never rejects. */
  async #refresh(): Promise<void> {
    const isFirst = this.#current === undefined;
    if (isFirst) await this.#attempt(() => this.#source.first());
    // A provided certificate may have been renewed, or have ended, since the configuration was written.
    if (!isFirst || this.#source.kind === "provided") await this.#attempt(() => this.#source.next(this.#current));
    this.#failures = this.#failure === undefined ? 0 : this.#failures + 1;
    this.#refreshIn(this.#delayMs());
  }

  async #attempt(get: () => Promise<ServedCertificate | undefined>): Promise<void> {
    if (this.#closed) return;
    try {
      const deadline = { clock: this.#clock, deadlineMs: ATTEMPT_MS, what: "the TLS certificate" };
      this.#take(await withinDeadline(deadline, get));
    } catch (error) {
      const { code, message } = toServiceError(error);
      this.#failure = code;
      this.#log.warn({ code, reason: message }, "the TLS certificate was not renewed");
    }
  }

  #take(certificate: ServedCertificate | undefined): void {
    if (this.#closed) return;
    if (certificate !== undefined && certificate !== this.#current) {
      this.#current = certificate;
      for (const listener of this.#listeners) listener(certificate);
      this.#log.info({}, "new TLS connections are served with a new certificate");
    }
    if (this.#current === undefined) return; // nothing to serve, and no renewal on offer: what failed before still holds
    this.#failure = undefined;
  }

  /** A refused renewal waits for the next check, like every other: what the parent offers must not drive KMS calls. */
  #delayMs(): number {
    const isWaiting = this.#current !== undefined && this.#source.kind === "provided";
    if (isWaiting || this.#failure === undefined) return this.#source.renewAfterMs;
    return Math.min(RETRY_MS.first * 2 ** Math.min(this.#failures - 1, 10), RETRY_MS.longest);
  }

  /** Timers may be shorter than what is asked of them (clock.ts); the monotonic clock tells. */
  #refreshIn(delayMs: number): void {
    if (this.#closed) return;
    const dueMs = this.#clock.monotonicMs() + delayMs;
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      const leftMs = dueMs - this.#clock.monotonicMs();
      if (leftMs > 0) this.#refreshIn(leftMs);
      else void this.#refresh();
    });
  }
}
