/**
 * Key configurations of Oblivious HTTP (RFC 9458 §3) and their list, `application/ohttp-keys` (§3.2).
 *
 * Taken: a list of at most 4096 bytes, each configuration with its length in front. A configuration for a KEM that is not in
 * the table of suites.ts is skipped, as is one that offers no combination of the table: a key of tomorrow beside one of
 * today is no error. Refused, and with it the whole list, as §3.2 demands: a configuration whose parts do not fill its
 * length, a key identifier that occurs twice, a list without a usable configuration.
 *
 * Nothing here says whose keys these are. They must come from an attestation, or be bound to one.
 */
import { ByteReader } from "../byte-reader.js";
import { encodeUint } from "../byte-writer.js";
import { concatBytes, copyBytes } from "../bytes.js";
import { ServiceError } from "../errors.js";
import type { Kem, SymmetricAlgorithms } from "./suites.js";
import { kemOf, SYMMETRIC_ALGORITHMS } from "./suites.js";

export const MAX_KEY_CONFIGURATIONS_BYTES = 4096;

/** RFC 9458 §3.1. */
export interface KeyConfiguration {
  /** 0 to 255. */
  readonly keyId: number;
  readonly kemId: number;
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** In the order of whoever made the configuration; may name combinations that this package does not have. */
  readonly symmetric: readonly [SymmetricAlgorithms, ...SymmetricAlgorithms[]];
}

/** A key pair of the enclave with its configuration. */
export interface OhttpKeyPair {
  readonly configuration: KeyConfiguration;
  /** The private key cannot be exported. */
  readonly keys: CryptoKeyPair;
}

/** Nsk of both KEMs (RFC 9180 §7.1). */
const MIN_IKM_BYTES = 32;
/** A KDF and an AEAD identifier. */
const PAIR_BYTES = 4;
/** Key and KEM identifiers, a public key of one byte, the length of the algorithms and one pair of them. */
const MIN_CONFIGURATION_BYTES = 1 + 2 + 1 + 2 + PAIR_BYTES;

const malformed = (message: string): ServiceError => new ServiceError("ERR_OHTTP_MALFORMED", message);

/**
 * A fresh key pair for `kemId` that may be used with every combination of the table. The private key stays in WebCrypto.
 * @throws TypeError when the table has no such KEM, or the identifier is not one of 0 to 255.
 */
export async function generateKeyPair(kemId: number, keyId: number): Promise<OhttpKeyPair> {
  return keyPairOf(kemId, keyId, (kem) => kem.generateKeyPair());
}

/**
 * The key pair that `ikm` gives by DeriveKeyPair (RFC 9180 §7.1.3), else as `generateKeyPair`: whoever has `ikm` has the
 * private key. It must be uniformly random, of 32 bytes at least, and of this one KEM and use.
 * @throws TypeError as `generateKeyPair`, and when `ikm` is shorter.
 */
export async function deriveKeyPair(kemId: number, keyId: number, ikm: Uint8Array<ArrayBuffer>): Promise<OhttpKeyPair> {
  if (ikm.length < MIN_IKM_BYTES) throw new TypeError(`expected at least ${MIN_IKM_BYTES} bytes to derive keys from`);
  return keyPairOf(kemId, keyId, (kem) => kem.deriveKeyPair(ikm));
}

async function keyPairOf(
  kemId: number,
  keyId: number,
  make: (kem: Kem) => Promise<CryptoKeyPair>,
): Promise<OhttpKeyPair> {
  const kem = kemOf(kemId);
  if (!kem) throw new TypeError("expected the number of a KEM that sealed requests may use");
  assertKeyId(keyId);
  const keys = await make(kem);
  const publicKey = await kem.serializePublicKey(keys.publicKey);
  return { configuration: { keyId, kemId, publicKey, symmetric: SYMMETRIC_ALGORITHMS }, keys };
}

/** The combination to seal with: of those that the configuration offers, the one that this package likes best. */
export const chooseSymmetric = (offered: readonly SymmetricAlgorithms[]): SymmetricAlgorithms | undefined =>
  SYMMETRIC_ALGORITHMS.find((own) => offers(offered, own));

/** Whether `offered` has this combination. */
export const offers = (offered: readonly SymmetricAlgorithms[], { kdfId, aeadId }: SymmetricAlgorithms): boolean =>
  offered.some((pair) => pair.kdfId === kdfId && pair.aeadId === aeadId);

/**
 * The list as `application/ohttp-keys`, which `parseKeyConfigurations` reads back as it was.
 * @throws TypeError when it is not a list that `parseKeyConfigurations` takes whole.
 */
export function encodeKeyConfigurations(configurations: readonly KeyConfiguration[]): Uint8Array<ArrayBuffer> {
  if (configurations.length === 0) throw new TypeError("expected at least one key configuration");
  if (hasDuplicates(configurations.map(({ keyId }) => keyId))) throw new TypeError("a key identifier occurs twice");
  const list = concatBytes(
    ...configurations.map((configuration) => {
      const encoded = encodeKeyConfiguration(configuration);
      return concatBytes(encodeUint(encoded.length, 2), encoded);
    }),
  );
  if (list.length > MAX_KEY_CONFIGURATIONS_BYTES) throw new TypeError("the key configurations are too long for a list");
  return list;
}

function encodeKeyConfiguration({ keyId, kemId, publicKey, symmetric }: KeyConfiguration): Uint8Array<ArrayBuffer> {
  assertKeyId(keyId);
  if (publicKey.length !== kemOf(kemId)?.publicKeyBytes) throw new TypeError("the public key is not one of the KEM");
  if (!chooseSymmetric(symmetric)) throw new TypeError("the configuration offers no combination of algorithms");
  const pairs = symmetric.flatMap(({ kdfId, aeadId }) => [encodeUint(kdfId, 2), encodeUint(aeadId, 2)]);
  const length = encodeUint(symmetric.length * PAIR_BYTES, 2);
  return concatBytes(encodeUint(keyId, 1), encodeUint(kemId, 2), publicKey, length, ...pairs);
}

function assertKeyId(keyId: number): void {
  if (!Number.isInteger(keyId) || keyId < 0 || keyId > 0xff)
    throw new TypeError("expected a key identifier of 0 to 255");
}

const hasDuplicates = (numbers: readonly number[]): boolean => new Set(numbers).size !== numbers.length;

/**
 * Reads `application/ohttp-keys`: on return there is at least one configuration, and each one names a KEM of the table with
 * a public key of that KEM's length and a combination to seal with. Whether the bytes are a public key is for `sealRequest`
 * to find out.
 * @throws ServiceError ERR_OHTTP_MALFORMED
 */
export function parseKeyConfigurations(bytes: Uint8Array): readonly [KeyConfiguration, ...KeyConfiguration[]] {
  if (bytes.length > MAX_KEY_CONFIGURATIONS_BYTES) {
    throw malformed(
      `expected at most ${MAX_KEY_CONFIGURATIONS_BYTES} bytes of key configurations, got ${bytes.length}`,
    );
  }
  const reader = new ByteReader(bytes, malformed);
  const keyIds: number[] = [];
  const usable: KeyConfiguration[] = [];
  while (!reader.atEnd) {
    const { keyId, configuration } = readKeyConfiguration(reader.within(reader.uint(2)));
    keyIds.push(keyId);
    if (configuration && chooseSymmetric(configuration.symmetric)) usable.push(configuration);
  }
  if (hasDuplicates(keyIds)) throw malformed("a key identifier occurs twice");
  const [first, ...others] = usable;
  if (!first) throw malformed("there is no key configuration of a suite that this package has");
  return [first, ...others];
}

/** RFC 9458 §3.1; of a KEM that the table lacks, only the identifier. */
function readKeyConfiguration(reader: ByteReader): { keyId: number; configuration: KeyConfiguration | undefined } {
  if (reader.remaining < MIN_CONFIGURATION_BYTES) throw malformed("a key configuration is too short to be one");
  const keyId = reader.uint(1);
  const kemId = reader.uint(2);
  const kem = kemOf(kemId);
  if (!kem) return { keyId, configuration: undefined }; // its parts have lengths that only its KEM knows
  const publicKey = copyBytes(reader.take(kem.publicKeyBytes));
  const symmetric = readSymmetric(reader.within(reader.uint(2)));
  if (!reader.atEnd) throw malformed("a key configuration goes on after its last field");
  return { keyId, configuration: { keyId, kemId, publicKey, symmetric } };
}

/** RFC 9458 §3.1: one pair at least. */
function readSymmetric(reader: ByteReader): KeyConfiguration["symmetric"] {
  const readPair = (): SymmetricAlgorithms => ({ kdfId: reader.uint(2), aeadId: reader.uint(2) });
  const first = readPair();
  const others: SymmetricAlgorithms[] = [];
  while (!reader.atEnd) others.push(readPair());
  return [first, ...others];
}
