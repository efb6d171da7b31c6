/**
 * The enclave's HPKE keys for sealed requests: one for each KEM, made at boot, published together, and replaced by age.
 * A key that is no longer published opens requests for a while (overlap), so that clients need not notice a rotation in
 * the middle of their work; after that a request to it is refused with a code that makes them attest anew.
 *
 * A key's identifier is one byte (RFC 9458 §3.1), counted on from key to key. It is given again only after 256 keys, and
 * never while the old bearer still opens requests. Each boot begins somewhere else: what was sealed to an enclave before it
 * was restarted is then told that its key is gone, and seldom taken for a request to a new key that it does not open with.
 */
import { ServiceError } from "../../shared/errors.js";
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import { encodeKeyConfigurations, generateKeyPair } from "../../shared/ohttp/key-configuration.js";
import { KEM_P256_HKDF_SHA256, KEM_X25519_HKDF_SHA256 } from "../../shared/ohttp/suites.js";
import type { Clock } from "../clock.js";

/** In the order in which clients are to prefer them. */
const KEMS = [KEM_X25519_HKDF_SHA256, KEM_P256_HKDF_SHA256] as const;
const KEY_IDS = 256;
/** After a rotation that failed. */
const RETRY_MS = 10_000;

export interface SealedKeysOptions {
  readonly clock: Clock;
  readonly limits: { readonly keyMaxAgeSeconds: number; readonly overlapSeconds: number };
  /** The identifier of the first key; any unless given. */
  readonly firstId?: number;
}

interface Retired {
  readonly pair: OhttpKeyPair;
  readonly untilMs: number;
}

/** For health. */
export interface SealedKeysState {
  readonly keyAgeSeconds: number;
  /** Keys that are no longer published and still open requests. */
  readonly retiredKeys: number;
}

export class SealedKeys {
  readonly #options: SealedKeysOptions;
  #current: readonly OhttpKeyPair[];
  #published: Uint8Array;
  #madeAtMs: number;
  #retired: readonly Retired[] = [];
  #rotating: Promise<void> | undefined;
  #cancelTimer = (): void => undefined;
  #closed = false;

  private constructor(options: SealedKeysOptions, pairs: readonly OhttpKeyPair[]) {
    this.#options = options;
    this.#current = pairs;
    this.#published = publishedOf(pairs);
    this.#madeAtMs = options.clock.monotonicMs();
    this.#rotateIn(options.limits.keyMaxAgeSeconds * 1_000);
  }

  /** Makes the first keys. */
  static async create(options: SealedKeysOptions): Promise<SealedKeys> {
    return new SealedKeys(options, await makePairs(options.firstId ?? anyFirstId()));
  }

  /** RFC 9458 §3.2: what clients may seal to now. */
  get published(): Uint8Array {
    return this.#published;
  }

  get state(): SealedKeysState {
    const ageMs = this.#options.clock.monotonicMs() - this.#madeAtMs;
    return { keyAgeSeconds: Math.floor(ageMs / 1_000), retiredKeys: this.#stillOpening().length };
  }

  /** The key with this identifier. @throws ServiceError ERR_KEY_CONFIGURATION when there is none, or no longer. */
  find(keyId: number): OhttpKeyPair {
    const retired = this.#stillOpening().map(({ pair }) => pair);
    const found = [...this.#current, ...retired].find(({ configuration }) => configuration.keyId === keyId);
    if (found === undefined) throw new ServiceError("ERR_KEY_CONFIGURATION", "expected a request to a key in use");
    return found;
  }

  /**
   * Makes new keys and publishes them; who asks for it meanwhile gets the same ones.
   * @throws ServiceError ERR_BUSY when rotations came so fast that an identifier would be given to a second key.
   */
  rotate(): Promise<void> {
    this.#rotating ??= this.#replace().finally(() => {
      this.#rotating = undefined;
    });
    return this.#rotating;
  }

  async #replace(): Promise<void> {
    const { clock, limits } = this.#options;
    const lastId = this.#current.at(-1)?.configuration.keyId ?? 0;
    const pairs = await makePairs(lastId + 1);
    this.#assertUnused(pairs);
    const untilMs = clock.monotonicMs() + limits.overlapSeconds * 1_000;
    this.#retired = [...this.#stillOpening(), ...this.#current.map((pair) => ({ pair, untilMs }))];
    this.#current = pairs;
    this.#published = publishedOf(pairs);
    this.#madeAtMs = clock.monotonicMs();
    this.#rotateIn(limits.keyMaxAgeSeconds * 1_000);
  }

  /** Ends the rotation. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #assertUnused(pairs: readonly OhttpKeyPair[]): void {
    const retired = new Set(this.#stillOpening().map(({ pair }) => pair.configuration.keyId));
    if (!pairs.some(({ configuration }) => retired.has(configuration.keyId))) return;
    throw new ServiceError("ERR_BUSY", "expected identifiers of keys that open nothing any more, all still do");
  }

  #stillOpening(): readonly Retired[] {
    const now = this.#options.clock.monotonicMs();
    this.#retired = this.#retired.filter(({ untilMs }) => now < untilMs);
    return this.#retired;
  }

  #rotateIn(delayMs: number): void {
    this.#cancelTimer();
    if (this.#closed) return;
    this.#cancelTimer = this.#options.clock.after(delayMs, () => {
      this.rotate().catch(() => this.#rotateIn(RETRY_MS)); // the old keys stay published meanwhile
    });
  }
}

const publishedOf = (pairs: readonly OhttpKeyPair[]): Uint8Array =>
  encodeKeyConfigurations(pairs.map(({ configuration }) => configuration));

/** A multiple of the number of keys, so that those of two boots are all the same or all different. */
function anyFirstId(): number {
  const [byte = 0] = crypto.getRandomValues(new Uint8Array(1));
  return byte - (byte % KEMS.length);
}

const makePairs = (firstId: number): Promise<OhttpKeyPair[]> =>
  Promise.all(KEMS.map((kem, index) => generateKeyPair(kem, (firstId + index) % KEY_IDS)));
