/**
 * From a seed to the HPKE keys of its epoch: the same on every enclave that has the seed.
 *
 *   ikm(KEM) = HKDF-SHA256(seed, salt = empty, info = "nitro-decrypt/sealing-key/v1" ‖ 0x00 ‖ KEM in 2 bytes), 32 bytes
 *   keys     = DeriveKeyPair(ikm(KEM))                                           RFC 9180 §7.1.3
 *
 * RFC 9180 wants an ikm to be of one KEM alone, so each has its own. Identifiers (RFC 9458 §3.1) are counted on from epoch to
 * epoch, as many as there are KEMs: those of two epochs are the same only where they are 128 apart, and begin for every
 * fleet somewhere else, so that a request which went astray is seldom taken for one of another fleet.
 */
import { encodeUint } from "../../shared/byte-writer.js";
import { concatBytes, copyBytes, fromHex, utf8, wipe } from "../../shared/bytes.js";
import type { OhttpKeyPair } from "../../shared/ohttp/key-configuration.js";
import { deriveKeyPair } from "../../shared/ohttp/key-configuration.js";
import { KEY_IDS, SEALING_KEMS } from "./key-ring.js";

export const SEED_BYTES = 32;
/** Epochs whose keys have identifiers of their own; those of the next ones are the same again. */
export const DISTINCT_EPOCHS = KEY_IDS / SEALING_KEMS.length;
const LABEL = utf8("nitro-decrypt/sealing-key/v1\0");
const NO_SALT = new Uint8Array(0);

/** What the identifiers of keys depend on. */
export interface KeyNumbering {
  readonly epoch: number;
  /** Of the fleet, in hexadecimal. */
  readonly measurement: string;
}

/** The key pairs of one epoch. Wipes `seed`. @throws TypeError when it has not `SEED_BYTES`. */
export async function keysOfSeed(seed: Uint8Array, numbering: KeyNumbering): Promise<readonly OhttpKeyPair[]> {
  const secret = copyBytes(seed);
  wipe(seed);
  try {
    if (secret.length !== SEED_BYTES) throw new TypeError(`expected a seed of ${SEED_BYTES} bytes`);
    const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
    const first = firstIdOf(numbering);
    return await Promise.all(SEALING_KEMS.map((kem, index) => pairOf(key, kem, (first + index) % KEY_IDS)));
  } finally {
    wipe(secret);
  }
}

async function pairOf(seed: CryptoKey, kemId: number, keyId: number): Promise<OhttpKeyPair> {
  const info = concatBytes(LABEL, encodeUint(kemId, 2));
  const algorithm = { name: "HKDF", hash: "SHA-256", salt: NO_SALT, info };
  const ikm = new Uint8Array(await crypto.subtle.deriveBits(algorithm, seed, 8 * SEED_BYTES));
  return deriveKeyPair(kemId, keyId, ikm).finally(() => wipe(ikm));
}

/** A multiple of the number of keys: the identifiers of two epochs are all the same or all different. */
function firstIdOf({ epoch, measurement }: KeyNumbering): number {
  const [offset = 0] = fromHex(measurement) ?? [];
  return ((epoch + offset) * SEALING_KEMS.length) % KEY_IDS;
}
