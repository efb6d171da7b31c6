/**
 * HPKE keys that all enclaves of a fleet have, from a seed that one of them made and the parent keeps (sealing-seeds.ts).
 * Enclaves do not talk to each other: each looks at the parent's store every now and then, and when a request comes with a
 * key that it does not know. Whoever first sees that the seed has come of age makes the next epoch; the epoch before opens
 * requests for the overlap. Ages are told by the enclave's own time.
 *
 * The store may be rolled back (PITFALLS 27). An enclave never goes back: an epoch before its own is refused, as is a later
 * one that was made earlier; it is logged, counted in `state`, and the store is given the newer seed again. A store that has
 * another seed of the enclave's own epoch began anew from an older state: then a further epoch brings all together. What an
 * enclave has never seen, it cannot miss: one that boots takes the newest seed that it is shown, if it is young enough.
 *
 * What fails is logged and stands in `state`, and the keys in use stay in use.
 */
import type { ErrorCode } from "../../shared/errors.js";
import { toServiceError } from "../../shared/errors.js";
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import type { SealingSeed } from "../../shared/sealing-seed.js";
import { withinDeadline } from "../deadline.js";
import { KeyRing } from "./key-ring.js";
import type { FirstSeeds, SeedContext } from "./next-seed.js";
import { isRefusal, nextSeed, openFirstSeeds, openSeed, ROUND_MS } from "./next-seed.js";
import type { SealedKeys, SealedKeysState } from "./sealed-keys.js";
import { foundKey } from "./sealed-keys.js";
import type { OpenedSeed } from "./sealing-seeds.js";

export interface SharedSealedKeysOptions extends SeedContext {
  /** From 0 to 1, 1 excluded; spreads the enclaves of a fleet in time. */
  readonly random?: () => number;
}

/** Between looks at the store, at the most; at least half of it. */
export const POLL_MS = 30_000;
/** Within this of the end of a seed's age somebody makes the next: not all at once. */
const SPREAD_MS = 2_000;
/** Between looks that requests with unknown keys lead to. */
export const LOOK_AGAIN_MS = 5_000;
/** A request waits for such a look no longer. */
const LOOK_DEADLINE_MS = 2_000;

export class SharedSealedKeys implements SealedKeys {
  readonly #options: SharedSealedKeysOptions;
  readonly #ring: KeyRing;
  #held: OpenedSeed;
  #failure: ErrorCode | undefined;
  #rollbacks = 0;
  /** The last record that was refused for good: KMS is not asked about it again. */
  #refused: SealingSeed | undefined;
  #round: Promise<void> | undefined;
  #lookAgainAtMs = 0;
  #cancelTimer = (): void => undefined;
  #closed = false;

  private constructor(options: SharedSealedKeysOptions, { held, retired }: FirstSeeds) {
    this.#options = options;
    this.#held = held;
    this.#ring = new KeyRing(options.clock, held.pairs);
    if (retired) this.#ring.retire(retired.seed.pairs, retired.leftMs);
    this.#lookSoon();
  }

  /** Begins with the fleet's seed. @throws ServiceError as `openFirstSeeds`. */
  static async start(options: SharedSealedKeysOptions): Promise<SharedSealedKeys> {
    return new SharedSealedKeys(options, await openFirstSeeds(options));
  }

  get published(): Uint8Array {
    return this.#ring.published;
  }

  get state(): SealedKeysState {
    const { epoch } = this.#held.record;
    return {
      keyAgeSeconds: Math.floor(this.#ageMs() / 1_000),
      retiredKeys: this.#ring.retiredKeys,
      shared: { epoch, failure: this.#failure, rollbacks: this.#rollbacks },
    };
  }

  /** A key that is not known may be of an epoch that began a moment ago: then the store is looked at first. */
  async find(keyId: number): Promise<OhttpKeyPair> {
    if (this.#ring.find(keyId) === undefined) await this.#lookAgain();
    return foundKey(this.#ring.find(keyId));
  }

  /** Makes the next epoch now. @throws ServiceError also of the store and of KMS. */
  async rotate(): Promise<void> {
    await this.#round?.catch(() => undefined); // told in `state`
    await this.#look(true);
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #ageMs(): number {
    return this.#options.nowMs() - this.#held.createdMs;
  }

  async #lookAgain(): Promise<void> {
    const { clock } = this.#options;
    if (this.#round === undefined && clock.monotonicMs() < this.#lookAgainAtMs) return;
    this.#lookAgainAtMs = clock.monotonicMs() + LOOK_AGAIN_MS;
    const deadline = { clock, deadlineMs: LOOK_DEADLINE_MS, what: "a look at the sealing seeds" };
    await withinDeadline(deadline, () => this.#look(false)).catch(() => undefined); // told in `state`
  }

  /** One round at a time; who comes meanwhile waits for its end. */
  #look(rotate: boolean): Promise<void> {
    this.#round ??= this.#lookOnce(rotate).finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async #lookOnce(rotate: boolean): Promise<void> {
    const { clock, log } = this.#options;
    const deadline = { clock, deadlineMs: ROUND_MS, what: "the sealing seeds" };
    try {
      this.#failure = await withinDeadline(deadline, () => this.#follow(rotate));
    } catch (error) {
      const { code, message } = toServiceError(error);
      this.#failure = code;
      log.warn({ code, reason: message }, "the sealing seeds could not be looked at, the keys in use stay in use");
      throw error;
    } finally {
      this.#lookSoon();
    }
  }

  /** Takes what is new, and makes what is due. Returns what was wrong with the store, having gone on without it. */
  async #follow(rotate: boolean): Promise<ErrorCode | undefined> {
    const listed = await this.#options.store.list();
    const [newest] = listed;
    const { epoch } = this.#held.record;
    let wrong: ErrorCode | undefined;
    if (newest === undefined || newest.epoch < epoch) wrong = await this.#giveBack(newest);
    else if (newest.epoch > epoch) wrong = await this.#takeNewer(newest);
    else if (!isSame(newest, this.#held.record)) wrong = this.#noteRollback("the store has another seed of this epoch");
    const isSplit = newest?.epoch === epoch && wrong !== undefined;
    const isDue = this.#ageMs() >= this.#options.limits.keyMaxAgeSeconds * 1_000;
    if (rotate || isSplit || isDue) this.#take(await nextSeed(this.#options, listed, this.#held));
    return wrong;
  }

  /** A store that has forgotten, as one in memory does with its parent, gets the seed in use again; an older one was put in its place. */
  async #giveBack(newest: SealingSeed | undefined): Promise<ErrorCode | undefined> {
    const wrong = newest && this.#noteRollback("the store has an epoch before this one at the most");
    await this.#options.store.put(this.#held.record); // whether it was first, the next look tells
    return wrong;
  }

  async #takeNewer(newest: SealingSeed): Promise<ErrorCode | undefined> {
    if (isSame(newest, this.#refused) && newest.document === this.#refused?.document) return "ERR_SEALING_SEED";
    if (Date.parse(newest.created) <= this.#held.createdMs) {
      return this.#noteRollback("the store has a later epoch that was made before this one");
    }
    try {
      this.#take(await openSeed(newest, this.#options));
      return undefined;
    } catch (error) {
      const { code, message } = toServiceError(error);
      if (isRefusal(error)) this.#refused = newest;
      else if (code !== "ERR_BUSY") throw error; // its identifiers are in use: an epoch after it will do
      this.#options.log.warn({ code, epoch: newest.epoch, reason: message }, "a sealing seed is not used");
      return code;
    }
  }

  #noteRollback(reason: string): ErrorCode {
    this.#rollbacks++;
    const code = "ERR_ROLLBACK";
    this.#options.log.warn({ code, epoch: this.#held.record.epoch, reason }, "older sealing seeds are refused");
    return code;
  }

  #take(opened: OpenedSeed): void {
    const { epoch } = opened.record;
    if (this.#closed || epoch <= this.#held.record.epoch) return; // a round that was given up may end late
    this.#ring.replace(opened.pairs, this.#options.limits.overlapSeconds * 1_000);
    this.#held = opened;
    this.#options.log.info({ epoch }, "sealed requests are opened with the keys of a new epoch");
  }

  #lookSoon(): void {
    this.#cancelTimer();
    if (this.#closed) return;
    const { clock, limits, random = Math.random } = this.#options;
    const pollMs = (POLL_MS * (1 + random())) / 2;
    const leftMs = limits.keyMaxAgeSeconds * 1_000 - this.#ageMs();
    const delayMs = leftMs > 0 ? Math.min(pollMs, leftMs + SPREAD_MS * random()) : pollMs;
    this.#cancelTimer = clock.after(delayMs, () => {
      this.#look(false).catch(() => undefined); // told in `state` and in the log, and tried again
    });
  }
}

const isSame = (one: SealingSeed, other: SealingSeed | undefined): boolean =>
  one.epoch === other?.epoch && one.created === other.created && one.ciphertext === other.ciphertext;
