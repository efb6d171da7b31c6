/**
 * HPKE key pairs by their identifiers: those that are published, and those that are no longer and still open requests until
 * their time. An identifier is one byte (RFC 9458 §3.1), and never means two keys at a time.
 */
import { ServiceError } from "../../shared/errors.js";
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import { encodeKeyConfigurations } from "../../shared/ohttp/key-configuration.js";
import { KEM_P256_HKDF_SHA256, KEM_X25519_HKDF_SHA256 } from "../../shared/ohttp/suites.js";
import type { Clock } from "../clock.js";

/** One key for each, in the order in which clients are to prefer them. */
export const SEALING_KEMS = [KEM_X25519_HKDF_SHA256, KEM_P256_HKDF_SHA256] as const;
export const KEY_IDS = 256;

interface Retired {
  readonly pair: OhttpKeyPair;
  readonly untilMs: number;
}

export class KeyRing {
  readonly #clock: Clock;
  #current: readonly OhttpKeyPair[];
  #published: Uint8Array;
  #retired: readonly Retired[] = [];

  constructor(clock: Clock, pairs: readonly OhttpKeyPair[]) {
    this.#clock = clock;
    this.#current = pairs;
    this.#published = publishedOf(pairs);
  }

  /** RFC 9458 §3.2: what clients may seal to now. */
  get published(): Uint8Array {
    return this.#published;
  }

  /** Keys that are no longer published and still open requests. */
  get retiredKeys(): number {
    return this.#stillOpening().length;
  }

  /** The key with this identifier, or undefined when there is none, or no longer. */
  find(keyId: number): OhttpKeyPair | undefined {
    const retired = this.#stillOpening().map(({ pair }) => pair);
    return [...this.#current, ...retired].find(({ configuration }) => configuration.keyId === keyId);
  }

  /**
   * Publishes `pairs`; those that were published open requests for `overlapMs` more.
   * @throws ServiceError ERR_BUSY when an identifier would be given to a second key; nothing has changed then.
   */
  replace(pairs: readonly OhttpKeyPair[], overlapMs: number): void {
    this.#assertUnused(pairs);
    const previous = this.#current;
    this.#current = pairs;
    this.#published = publishedOf(pairs);
    this.#retire(previous, overlapMs);
  }

  /** Has `pairs`, which were published elsewhere, open requests for `overlapMs`. @throws ServiceError ERR_BUSY as `replace`. */
  retire(pairs: readonly OhttpKeyPair[], overlapMs: number): void {
    this.#assertUnused(pairs);
    this.#retire(pairs, overlapMs);
  }

  #retire(pairs: readonly OhttpKeyPair[], overlapMs: number): void {
    const untilMs = this.#clock.monotonicMs() + overlapMs;
    this.#retired = [...this.#stillOpening(), ...pairs.map((pair) => ({ pair, untilMs }))];
  }

  #assertUnused(pairs: readonly OhttpKeyPair[]): void {
    const opening = [...this.#current, ...this.#stillOpening().map(({ pair }) => pair)];
    const used = new Set(opening.map(({ configuration }) => configuration.keyId));
    if (!pairs.some(({ configuration }) => used.has(configuration.keyId))) return;
    throw new ServiceError("ERR_BUSY", "expected identifiers of keys that open nothing any more, all still do");
  }

  #stillOpening(): readonly Retired[] {
    const now = this.#clock.monotonicMs();
    this.#retired = this.#retired.filter(({ untilMs }) => now < untilMs);
    return this.#retired;
  }
}

const publishedOf = (pairs: readonly OhttpKeyPair[]): Uint8Array =>
  encodeKeyConfigurations(pairs.map(({ configuration }) => configuration));
