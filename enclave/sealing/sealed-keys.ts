/**
 * The keys that sealed requests are opened with, wherever they come from: made here (own-sealed-keys.ts), or from the seed
 * that the enclaves of a fleet share (shared-sealed-keys.ts). Either way they are published together, replaced by age, and
 * one that is no longer published opens requests for a while (overlap), so that clients need not notice a rotation in the
 * middle of their work; after that a request to it is refused with a code that makes them attest anew.
 */
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";

/** In seconds. */
export interface SealedKeysLimits {
  readonly keyMaxAgeSeconds: number;
  readonly overlapSeconds: number;
}

/** Of keys that a fleet shares. */
export interface SharedKeysState {
  /** The highest that this enclave has seen and opened. */
  readonly epoch: number;
  /** What was wrong with the store or with KMS when they were last asked; undefined when nothing was. */
  readonly failure: ErrorCode | undefined;
  /** How often the store had an older state than one that this enclave had seen. */
  readonly rollbacks: number;
}

/** For health. */
export interface SealedKeysState {
  readonly keyAgeSeconds: number;
  /** Keys that are no longer published and still open requests. */
  readonly retiredKeys: number;
  /** Absent where the keys are the enclave's own. */
  readonly shared?: SharedKeysState;
}

export interface SealedKeys {
  /** RFC 9458 §3.2: what clients may seal to now. */
  readonly published: Uint8Array;
  readonly state: SealedKeysState;
  /** The key with this identifier. @throws ServiceError ERR_KEY_CONFIGURATION when there is none, or no longer. */
  find(keyId: number): Promise<OhttpKeyPair>;
  /**
   * Replaces the keys now; who asks for it meanwhile gets the same ones.
   * @throws ServiceError ERR_BUSY when rotations came so fast that an identifier would be given to a second key.
   */
  rotate(): Promise<void>;
  /** Ends the rotation. */
  close(): void;
}

/** `pair`, if there is one. @throws ServiceError ERR_KEY_CONFIGURATION */
export function foundKey(pair: OhttpKeyPair | undefined): OhttpKeyPair {
  if (pair === undefined) throw new ServiceError("ERR_KEY_CONFIGURATION", "expected a request to a key in use");
  return pair;
}
