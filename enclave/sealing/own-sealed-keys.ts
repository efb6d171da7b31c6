/**
 * HPKE keys of this enclave alone: one for each KEM, made at boot, and others by age.
 *
 * A key's identifier is one byte (RFC 9458 §3.1), counted on from key to key. It is given again only after 256 keys, and
 * never while the old bearer still opens requests. Each boot begins somewhere else: what was sealed to an enclave before it
 * was restarted is then told that its key is gone, and seldom taken for a request to a new key that it does not open with.
 */
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import { generateKeyPair } from "../../shared/ohttp/key-configuration.js";
import type { Clock } from "../clock.js";
import { KEY_IDS, KeyRing, SEALING_KEMS } from "./key-ring.js";
import type { SealedKeys, SealedKeysLimits, SealedKeysState } from "./sealed-keys.js";
import { foundKey } from "./sealed-keys.js";

/** After a rotation that failed. */
const RETRY_MS = 10_000;

export interface OwnSealedKeysOptions {
  readonly clock: Clock;
  readonly limits: SealedKeysLimits;
  /** The identifier of the first key; any unless given. */
  readonly firstId?: number;
}

export class OwnSealedKeys implements SealedKeys {
  readonly #options: OwnSealedKeysOptions;
  readonly #ring: KeyRing;
  #nextId: number;
  #madeAtMs: number;
  #rotating: Promise<void> | undefined;
  #cancelTimer = (): void => undefined;
  #closed = false;

  private constructor(options: OwnSealedKeysOptions, pairs: readonly OhttpKeyPair[], nextId: number) {
    this.#options = options;
    this.#ring = new KeyRing(options.clock, pairs);
    this.#nextId = nextId;
    this.#madeAtMs = options.clock.monotonicMs();
    this.#rotateIn(options.limits.keyMaxAgeSeconds * 1_000);
  }

  /** Makes the first keys. */
  static async create(options: OwnSealedKeysOptions): Promise<OwnSealedKeys> {
    const firstId = options.firstId ?? anyFirstId();
    return new OwnSealedKeys(options, await makePairs(firstId), firstId + SEALING_KEMS.length);
  }

  get published(): Uint8Array {
    return this.#ring.published;
  }

  get state(): SealedKeysState {
    const ageMs = this.#options.clock.monotonicMs() - this.#madeAtMs;
    return { keyAgeSeconds: Math.floor(ageMs / 1_000), retiredKeys: this.#ring.retiredKeys };
  }

  async find(keyId: number): Promise<OhttpKeyPair> {
    return foundKey(this.#ring.find(keyId));
  }

  rotate(): Promise<void> {
    this.#rotating ??= this.#replace().finally(() => {
      this.#rotating = undefined;
    });
    return this.#rotating;
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  async #replace(): Promise<void> {
    const { clock, limits } = this.#options;
    this.#ring.replace(await makePairs(this.#nextId), limits.overlapSeconds * 1_000);
    this.#nextId += SEALING_KEMS.length;
    this.#madeAtMs = clock.monotonicMs();
    this.#rotateIn(limits.keyMaxAgeSeconds * 1_000);
  }

  #rotateIn(delayMs: number): void {
    this.#cancelTimer();
    if (this.#closed) return;
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.rotate().catch(() => this.#rotateIn(RETRY_MS)); // the old keys stay published meanwhile
    });
  }
}

/** A multiple of the number of keys, so that those of two boots are all the same or all different. */
function anyFirstId(): number {
  const [byte = 0] = crypto.getRandomValues(new Uint8Array(1));
  return byte - (byte % SEALING_KEMS.length);
}

const makePairs = (firstId: number): Promise<OhttpKeyPair[]> =>
  Promise.all(SEALING_KEMS.map((kem, index) => generateKeyPair(kem, (firstId + index) % KEY_IDS)));
