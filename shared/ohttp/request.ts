/**
 * Encapsulated requests of Oblivious HTTP (RFC 9458 §4.1, §4.3) over HPKE in base mode (RFC 9180 §5.1.1): `sealRequest` for
 * the client, `parseSealedHeader` and `openRequest` for the enclave.
 *
 * Base mode does not say who sealed a request, and a request can be sent again: callers are known by their tokens, and
 * whoever answers keeps the `enc` of what has been seen. The plaintext is Binary HTTP (bhttp.ts); here it is bytes.
 */
import type { SenderContext } from "@hpke/core";
import { ByteReader } from "../byte-reader.js";
import { encodeUint } from "../byte-writer.js";
import { concatBytes, copyBytes, equalBytes, utf8 } from "../bytes.js";
import { ServiceError } from "../errors.js";
import type { KeyConfiguration, OhttpKeyPair } from "./key-configuration.js";
import { chooseSymmetric, offers } from "./key-configuration.js";
import type { ResponseContext } from "./response.js";
import { decryptionFailed, openResponse, responseContextOf, sealResponse } from "./response.js";
import type { Suite, SymmetricAlgorithms } from "./suites.js";
import { suiteOf } from "./suites.js";

/** Key, KEM, KDF and AEAD identifiers (RFC 9458 §4.1). */
const HEADER_BYTES = 7;
/** RFC 9458 §4.3: the label and the zero byte after it. */
const INFO_LABEL = utf8("message/bhttp request\0");

const malformed = (message: string): ServiceError => new ServiceError("ERR_OHTTP_MALFORMED", message);

/** What a sealed request says of itself. None of it is authentic before `openRequest`. */
export interface SealedHeader extends SymmetricAlgorithms {
  readonly keyId: number;
  readonly kemId: number;
  /** The encapsulated key: fresh in every request, so it tells a request that has been seen before. */
  readonly enc: Uint8Array<ArrayBuffer>;
}

export interface SealedRequest {
  /** `message/ohttp-req`. */
  readonly sealed: Uint8Array<ArrayBuffer>;
  /**
   * Opens the answer to this request, once; a second call is a TypeError.
   * @throws ServiceError ERR_OHTTP_MALFORMED, ERR_DECRYPTION_FAILED.
   */
  readonly openResponse: (sealedResponse: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>;
}

export interface OpenedRequest {
  readonly request: Uint8Array<ArrayBuffer>;
  /** As in the header. */
  readonly enc: Uint8Array<ArrayBuffer>;
  /** Seals the answer to this request, as `message/ohttp-res`, once; a second call is a TypeError. */
  readonly sealResponse: (response: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Seals `request` to the key of `configuration`: only the holder of the private key can open it, and only who opened it can
 * answer. Whose key it is must be known from elsewhere.
 * @throws ServiceError ERR_OHTTP_MALFORMED when the public key is not a key of its KEM; TypeError when the configuration is
 *   not one that `parseKeyConfigurations` returns.
 */
export async function sealRequest(configuration: KeyConfiguration, request: Uint8Array): Promise<SealedRequest> {
  const { keyId, kemId, publicKey } = configuration;
  const algorithms = chooseSymmetric(configuration.symmetric);
  const suite = algorithms && suiteOf(kemId, algorithms);
  if (!suite) throw new TypeError("expected a key configuration of a suite that this package has");
  const header = encodeHeader({ keyId, kemId, ...algorithms });
  const sender = await createSender(suite, publicKey, header);
  return sealWith(sender, { suite, header }, request);
}

async function createSender({ hpke }: Suite, publicKey: Uint8Array, header: Uint8Array): Promise<SenderContext> {
  try {
    const recipientPublicKey = await hpke.kem.deserializePublicKey(publicKey);
    // WebCrypto takes SEC 1's hybrid form of a P-256 point too, which is not the one form of RFC 9180 §7.1.1.
    const serialized = new Uint8Array(await hpke.kem.serializePublicKey(recipientPublicKey));
    if (!equalBytes(serialized, publicKey)) throw malformed("the public key is not in its canonical form");
    return await hpke.createSenderContext({ recipientPublicKey, info: infoOf(header) });
  } catch (cause) {
    throw new ServiceError("ERR_OHTTP_MALFORMED", "the public key is not one that its KEM can use", { cause });
  }
}

/**
 * `sealRequest` from its HPKE context on, for test vectors. A context seals one request: nothing but `sealRequest` calls
 * this.
 */
export async function sealWith(
  sender: SenderContext,
  { suite, header }: { readonly suite: Suite; readonly header: Uint8Array },
  request: Uint8Array,
): Promise<SealedRequest> {
  const enc = new Uint8Array(sender.enc);
  const ciphertext = new Uint8Array(await sender.seal(request));
  const context = await responseContextOf(sender, suite, enc);
  return { sealed: concatBytes(header, enc, ciphertext), openResponse: once(context, openResponse) };
}

/** RFC 9458 §4.3, step 1: the four identifiers. */
export const encodeHeader = ({ keyId, kemId, kdfId, aeadId }: Omit<SealedHeader, "enc">): Uint8Array<ArrayBuffer> =>
  concatBytes(encodeUint(keyId, 1), encodeUint(kemId, 2), encodeUint(kdfId, 2), encodeUint(aeadId, 2));

/** RFC 9458 §4.3, step 2. */
const infoOf = (header: Uint8Array): Uint8Array<ArrayBuffer> => concatBytes(INFO_LABEL, header);

/**
 * The header of a sealed request, by which the enclave finds its key. On return the algorithms are ones of the tables, and
 * the request is long enough to hold something.
 * @throws ServiceError ERR_OHTTP_MALFORMED when it is too short; ERR_KEY_CONFIGURATION when a table lacks an algorithm.
 */
export function parseSealedHeader(sealed: Uint8Array): SealedHeader {
  const { keyId, kemId, kdfId, aeadId, enc } = parseSealed(sealed);
  return { keyId, kemId, kdfId, aeadId, enc };
}

interface Sealed extends SealedHeader {
  readonly suite: Suite;
  readonly header: Uint8Array;
  readonly ciphertext: Uint8Array<ArrayBuffer>;
}

function parseSealed(bytes: Uint8Array): Sealed {
  const reader = new ByteReader(bytes, malformed);
  const [keyId, kemId, kdfId, aeadId] = [reader.uint(1), reader.uint(2), reader.uint(2), reader.uint(2)];
  const suite = suiteOf(kemId, { kdfId, aeadId });
  if (!suite)
    throw new ServiceError("ERR_KEY_CONFIGURATION", "the request is sealed with algorithms that no key is for");
  const enc = copyBytes(reader.take(suite.encBytes));
  if (reader.remaining < suite.aead.tagSize)
    throw malformed("the sealed request is shorter than its authentication tag");
  const header = bytes.subarray(0, HEADER_BYTES);
  return { keyId, kemId, kdfId, aeadId, enc, suite, header, ciphertext: copyBytes(reader.rest()) };
}

/**
 * Opens a request that was sealed to `keyPair`. On return its header, `enc` and plaintext are what one sender sealed; who
 * that is, and whether the request has been opened before, is not known.
 * @throws ServiceError ERR_OHTTP_MALFORMED; ERR_KEY_CONFIGURATION when the header names another key, or algorithms that its
 *   configuration does not offer; ERR_DECRYPTION_FAILED.
 */
export async function openRequest(keyPair: OhttpKeyPair, sealed: Uint8Array): Promise<OpenedRequest> {
  const parsed = parseSealed(sealed);
  assertHeaderOf(keyPair.configuration, parsed);
  const { request, context } = await decrypt(keyPair.keys, parsed);
  return { request, enc: parsed.enc, sealResponse: once(context, sealResponse) };
}

/** RFC 9458 §4.3, steps 1a and 1b of opening. */
function assertHeaderOf({ keyId, kemId, symmetric }: KeyConfiguration, header: SealedHeader): void {
  if (header.keyId === keyId && header.kemId === kemId && offers(symmetric, header)) return;
  throw new ServiceError(
    "ERR_KEY_CONFIGURATION",
    "the request is not sealed to this key with algorithms that it offers",
  );
}

async function decrypt(recipientKey: CryptoKeyPair, { suite, header, enc, ciphertext }: Sealed) {
  try {
    const recipient = await suite.hpke.createRecipientContext({ recipientKey, enc, info: infoOf(header) });
    const request = new Uint8Array(await recipient.open(ciphertext));
    return { request, context: await responseContextOf(recipient, suite, enc) };
  } catch {
    throw decryptionFailed(); // which step failed depends on the private key: it goes no further than this line
  }
}

/** `run` on `context`, for one call: the secret is used up by it, whatever its outcome. */
function once<T>(context: ResponseContext, run: (context: ResponseContext, bytes: Uint8Array) => Promise<T>) {
  let unused = true;
  return async (bytes: Uint8Array): Promise<T> => {
    if (!unused) throw new TypeError("a sealed request has one answer");
    unused = false;
    return run(context, bytes);
  };
}
