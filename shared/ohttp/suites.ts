/**
 * The HPKE algorithms (RFC 9180 §7) that sealed messages may use: DHKEM(X25519, HKDF-SHA256) and DHKEM(P-256, HKDF-SHA256);
 * HKDF-SHA256; AES-256-GCM and AES-128-GCM. HPKE itself is `@hpke/core`, over WebCrypto.
 *
 * Each table has one row per algorithm, found by its IANA number, and nothing else in ohttp/ knows a size or a name: another
 * algorithm, such as a hybrid KEM, is one more row.
 */
import type { AeadInterface, KdfInterface, KemInterface } from "@hpke/core";
import { Aes128Gcm, Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { wipe } from "../bytes.js";

/** IANA "HPKE KEM Identifiers". */
export const KEM_P256_HKDF_SHA256 = 0x0010;
export const KEM_X25519_HKDF_SHA256 = 0x0020;
/** IANA "HPKE KDF Identifiers". */
export const KDF_HKDF_SHA256 = 0x0001;
/** IANA "HPKE AEAD Identifiers". */
export const AEAD_AES_128_GCM = 0x0001;
export const AEAD_AES_256_GCM = 0x0002;

interface KemRow {
  readonly create: () => KemInterface;
  /** A key pair whose private key cannot be exported, where the KEM's keys are WebCrypto's own. */
  readonly generateKeyPair: () => Promise<CryptoKeyPair>;
  /** A private key (PKCS #8 DER) that cannot be exported again. */
  readonly importPrivateKey: (pkcs8: ArrayBuffer) => Promise<CryptoKey>;
}

interface KdfRow {
  readonly create: () => KdfInterface;
  /** The hash of its HKDF, as WebCrypto names it: responses are sealed under keys that HPKE does not derive. */
  readonly hash: "SHA-256";
}

const KEMS: ReadonlyMap<number, KemRow> = new Map<number, KemRow>([
  [
    KEM_X25519_HKDF_SHA256,
    {
      create: () => new DhkemX25519HkdfSha256(),
      generateKeyPair: () => crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]),
      importPrivateKey: (pkcs8) => crypto.subtle.importKey("pkcs8", pkcs8, { name: "X25519" }, false, ["deriveBits"]),
    },
  ],
  [
    KEM_P256_HKDF_SHA256,
    {
      create: () => new DhkemP256HkdfSha256(),
      generateKeyPair: () => crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]),
      importPrivateKey: (pkcs8) =>
        crypto.subtle.importKey("pkcs8", pkcs8, { name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"]),
    },
  ],
]);

const KDFS: ReadonlyMap<number, KdfRow> = new Map<number, KdfRow>([
  [KDF_HKDF_SHA256, { create: () => new HkdfSha256(), hash: "SHA-256" }],
]);

const AEADS: ReadonlyMap<number, () => AeadInterface> = new Map<number, () => AeadInterface>([
  [AEAD_AES_256_GCM, () => new Aes256Gcm()],
  [AEAD_AES_128_GCM, () => new Aes128Gcm()],
]);

/** A KDF and an AEAD that a key may be used with (RFC 9458 §3.1). */
export interface SymmetricAlgorithms {
  readonly kdfId: number;
  readonly aeadId: number;
}

/** The combinations that this package takes, the preferred one first. */
export const SYMMETRIC_ALGORITHMS: readonly [SymmetricAlgorithms, ...SymmetricAlgorithms[]] = [
  { kdfId: KDF_HKDF_SHA256, aeadId: AEAD_AES_256_GCM },
  { kdfId: KDF_HKDF_SHA256, aeadId: AEAD_AES_128_GCM },
];

/** Sizes and keys of a KEM. */
export interface Kem {
  readonly publicKeyBytes: number;
  readonly encBytes: number;
  readonly generateKeyPair: () => Promise<CryptoKeyPair>;
  /** RFC 9180 §7.1.3: always the same pair for the same `ikm`, which must be of one use and of Nsk bytes at least. */
  readonly deriveKeyPair: (ikm: Uint8Array<ArrayBuffer>) => Promise<CryptoKeyPair>;
  readonly serializePublicKey: (key: CryptoKey) => Promise<Uint8Array<ArrayBuffer>>;
}

/** The KEM of that number, or undefined when it is none of the table. */
export function kemOf(kemId: number): Kem | undefined {
  const row = KEMS.get(kemId);
  if (!row) return undefined;
  const kem = row.create();
  return {
    publicKeyBytes: kem.publicKeySize,
    encBytes: kem.encSize,
    generateKeyPair: row.generateKeyPair,
    deriveKeyPair: (ikm) => deriveKeyPair(kem, row, ikm),
    serializePublicKey: async (key) => new Uint8Array(await kem.serializePublicKey(key)),
  };
}

/** The library's private key can be exported; the one that is returned cannot. */
async function deriveKeyPair(
  kem: KemInterface,
  { importPrivateKey }: KemRow,
  ikm: Uint8Array<ArrayBuffer>,
): Promise<CryptoKeyPair> {
  const derived = await kem.deriveKeyPair(ikm);
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", derived.privateKey);
  const privateKey = await importPrivateKey(pkcs8).finally(() => wipe(new Uint8Array(pkcs8)));
  return { privateKey, publicKey: derived.publicKey };
}

/** One algorithm of each kind, ready for use. */
export interface Suite {
  readonly hpke: CipherSuite;
  readonly encBytes: number;
  readonly aead: AeadInterface;
  readonly hash: KdfRow["hash"];
}

/** The suite of these numbers, or undefined when a table lacks one of them. */
export function suiteOf(kemId: number, { kdfId, aeadId }: SymmetricAlgorithms): Suite | undefined {
  const kemRow = KEMS.get(kemId);
  const kdfRow = KDFS.get(kdfId);
  const aead = AEADS.get(aeadId)?.();
  if (!kemRow || !kdfRow || !aead) return undefined;
  const kem = kemRow.create();
  const hpke = new CipherSuite({ kem, kdf: kdfRow.create(), aead });
  return { hpke, encBytes: kem.encSize, aead, hash: kdfRow.hash };
}
