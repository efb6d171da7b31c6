/**
 * The attestation that calls rest on: made when the first call needs it, used for a while, and made anew by age or when an
 * enclave says that its key is another. Calls that need one at the same time wait for the same one.
 */
import type { AppraisedAttestation } from "../shared/attestation/appraise.js";
import { abortable } from "../shared/settle.js";

/** What a channel keeps of one attestation. */
export interface Session {
  readonly attestation: AppraisedAttestation;
  /** Lets go of what belongs to it (connections), once calls under way have ended. */
  close?(): void;
}

export interface SessionsOptions<S extends Session> {
  /** Attests, and makes a session. It has a deadline of its own: no caller's signal ends what others wait for. */
  readonly open: () => Promise<S>;
  readonly maxAgeMs: number;
  readonly clock: () => Date;
}

interface Held<S> {
  readonly session: S;
  readonly untilMs: number;
}

export class Sessions<S extends Session> {
  readonly #options: SessionsOptions<S>;
  #held: Held<S> | undefined;
  #opening: Promise<S> | undefined;
  #closed = false;

  constructor(options: SessionsOptions<S>) {
    this.#options = options;
  }

  /** The newest session, whatever its age; undefined before the first. */
  get latest(): S | undefined {
    return this.#held?.session;
  }

  /** A session that is young enough. @throws what opening one throws; the reason of `signal`; TypeError after `close`. */
  async current(signal?: AbortSignal): Promise<S> {
    signal?.throwIfAborted(); // before anything is sent
    if (this.#closed) throw closed();
    if (this.#held && performance.now() < this.#held.untilMs) return this.#held.session;
    return abortable(this.#open(), signal);
  }

  /** A session that is not `refused`: the enclave has said that it is no good any more. */
  async renewed(refused: S, signal?: AbortSignal): Promise<S> {
    if (this.#held?.session === refused) this.#held = { ...this.#held, untilMs: 0 };
    return this.current(signal);
  }

  /** Lets go of the session in use, and of one that is being opened. */
  close(): void {
    this.#closed = true;
    this.#held?.session.close?.();
    this.#held = undefined;
  }

  #open(): Promise<S> {
    this.#opening ??= this.#openOne().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openOne(): Promise<S> {
    const { open, maxAgeMs, clock } = this.#options;
    const askedAtMs = performance.now();
    const session = await open();
    if (this.#closed) {
      session.close?.();
      throw closed();
    }
    // Never past the end of the certificate that the document was signed with (pitfall 11).
    const leftMs = session.attestation.attestation.leafNotAfter.getTime() - clock().getTime();
    this.#held?.session.close?.();
    this.#held = { session, untilMs: askedAtMs + Math.min(maxAgeMs, leftMs) };
    return session;
  }
}

const closed = (): TypeError => new TypeError("the channel is closed");
