/**
 * A typed client of the Nitro Security Module, over the raw device (shared/nsm.ts). The device serves one request at a
 * time, so the client sends one at a time and decides itself who is next: attestation is slow and asked for by
 * outsiders, so a burst of it must not delay anything else (PITFALLS 26). Whoever waits is served by lane, then in order:
 *
 *   1. everything that is not attestation (GetRandom, PCRs): waits for at most the one request that the device has;
 *   2. attestation for the enclave's own KMS calls;
 *   3. attestation for callers of the enclave.
 *
 * Each lane is bounded, and each request has a deadline that counts from its arrival. An answer that comes after the
 * deadline is dropped; the next request goes out only then, so no answer can be taken for another request's.
 */
import { ServiceError } from "../shared/errors.js";
import type { Nsm, NsmRequest, NsmResponse } from "../shared/nsm.js";
import { decodeNsmResponse, encodeNsmRequest } from "../shared/nsm.js";
import type { Clock } from "./clock.js";
import { withinDeadline } from "./deadline.js";

export interface NsmLimits {
  /** From a request's arrival to its answer. */
  readonly deadlineMs: number;
  /** Requests waiting in one lane. */
  readonly maxWaiting: number;
}

export const NSM_LIMITS: NsmLimits = { deadlineMs: 5_000, maxWaiting: 64 };

export interface NsmClientOptions {
  readonly limits?: NsmLimits;
  /** Told of each document as it comes from the device. */
  readonly onDocument?: (document: Uint8Array) => void;
}

const noted = (): undefined => undefined;

/** What an attestation document is made for. */
export type AttestationPurpose = "kms" | "caller";

/** The fields that the enclave puts into an attestation document. */
export type AttestationFields = Omit<Extract<NsmRequest, { kind: "Attestation" }>, "kind">;

type Lane = "control" | AttestationPurpose;
type Answer<K extends NsmResponse["kind"]> = Extract<NsmResponse, { kind: K }>;
type Waiting = () => Promise<void>;

/** How the last exchange with the device ended. */
export type NsmState = "unused" | "ok" | "failed";

export class NsmClient {
  readonly #device: Nsm;
  readonly #clock: Clock;
  readonly #limits: NsmLimits;
  readonly #onDocument: (document: Uint8Array) => void;
  readonly #lanes: Readonly<Record<Lane, Waiting[]>> = { control: [], kms: [], caller: [] };
  #serving = false;
  #state: NsmState = "unused";

  constructor(device: Nsm, clock: Clock, { limits = NSM_LIMITS, onDocument = noted }: NsmClientOptions = {}) {
    this.#device = device;
    this.#clock = clock;
    this.#limits = limits;
    this.#onDocument = onDocument;
  }

  get state(): NsmState {
    return this.#state;
  }

  /** Version, module id and locked PCRs. @throws ServiceError ERR_NSM, ERR_BUSY, ERR_TIMEOUT, as all methods do. */
  describe(): Promise<Answer<"DescribeNSM">> {
    return this.#request({ kind: "DescribeNSM" }, "DescribeNSM", "control");
  }

  /** Random bytes of the device, up to 256. */
  async random(): Promise<Uint8Array> {
    return (await this.#request({ kind: "GetRandom" }, "GetRandom", "control")).random;
  }

  /** Value and lock of one PCR. */
  describePcr(index: number): Promise<Answer<"DescribePCR">> {
    return this.#request({ kind: "DescribePCR", index }, "DescribePCR", "control");
  }

  /** Extends one PCR with `data` and returns its new value. */
  async extendPcr(index: number, data: Uint8Array): Promise<Uint8Array> {
    return (await this.#request({ kind: "ExtendPCR", index, data }, "ExtendPCR", "control")).data;
  }

  /** Locks one PCR until the enclave ends. */
  async lockPcr(index: number): Promise<void> {
    await this.#request({ kind: "LockPCR", index }, "LockPCR", "control");
  }

  /** A fresh attestation document with these fields. */
  async attest(fields: AttestationFields, purpose: AttestationPurpose): Promise<Uint8Array> {
    const { document } = await this.#request({ kind: "Attestation", ...fields }, "Attestation", purpose);
    this.#onDocument(document);
    return document;
  }

  async #request<K extends NsmResponse["kind"]>(request: NsmRequest, kind: K, lane: Lane): Promise<Answer<K>> {
    const waiting = this.#lanes[lane];
    if (waiting.length >= this.#limits.maxWaiting) {
      throw new ServiceError(
        "ERR_BUSY",
        `NSM ${request.kind}: more than ${this.#limits.maxWaiting} are waiting already`,
      );
    }
    const what = `NSM ${request.kind}`;
    const response = await withinDeadline({ clock: this.#clock, deadlineMs: this.#limits.deadlineMs, what }, (signal) =>
      this.#queue(encodeNsmRequest(request), waiting, signal),
    );
    return expectAnswer(decodeNsmResponse(response), kind);
  }

  /** Waits for the device, exchanges, and hands the device on. */
  #queue(request: Uint8Array, waiting: Waiting[], signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const serve = async (): Promise<void> => {
        try {
          const response = await this.#device.exchange(request);
          this.#state = "ok";
          resolve(response);
        } catch (cause) {
          this.#state = "failed";
          reject(new ServiceError("ERR_NSM", "the NSM device failed", { cause }));
        }
      };
      waiting.push(serve);
      signal.addEventListener("abort", () => this.#forget(waiting, serve), { once: true });
      this.#serveWaiting().catch(reject);
    });
  }

  /** A request whose deadline has passed leaves the queue; one that the device already has counts as a failure of it. */
  #forget(waiting: Waiting[], serve: Waiting): void {
    const place = waiting.indexOf(serve);
    if (place >= 0) waiting.splice(place, 1);
    else this.#state = "failed";
  }

  /** Serves whoever waits, one after the other, until nobody does; `serve` itself never rejects. */
  async #serveWaiting(): Promise<void> {
    if (this.#serving) return;
    this.#serving = true;
    for (let serve = this.#next(); serve !== undefined; serve = this.#next()) await serve();
    this.#serving = false;
  }

  #next(): Waiting | undefined {
    const { control, kms, caller } = this.#lanes;
    return control.shift() ?? kms.shift() ?? caller.shift();
  }
}

function expectAnswer<K extends NsmResponse["kind"]>(response: NsmResponse, kind: K): Answer<K> {
  if (isAnswer(response, kind)) return response;
  const came = response.kind === "Error" ? `the error ${response.error}` : response.kind;
  throw new ServiceError("ERR_NSM", `expected the NSM to answer ${kind}, it answered ${came}`);
}

const isAnswer = <K extends NsmResponse["kind"]>(response: NsmResponse, kind: K): response is Answer<K> =>
  response.kind === kind;
