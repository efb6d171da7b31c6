/**
 * Encapsulated responses of Oblivious HTTP (RFC 9458 §4.2, §4.4). Whoever opened the request, and nobody else, can make an
 * answer that opens: the key is derived from a secret of the request's HPKE context (pitfall 33).
 */
import { concatBytes, copyBytes, utf8, wipe } from "../bytes.js";
import { ServiceError } from "../errors.js";
import type { Suite } from "./suites.js";

/** RFC 9458 §4.4. */
const EXPORT_LABEL = utf8("message/bhttp response");
const KEY_LABEL = utf8("key");
const NONCE_LABEL = utf8("nonce");
const NO_DATA = new Uint8Array(0);

/** What client and enclave both keep of a request. */
export interface ResponseContext {
  readonly suite: Suite;
  /** The encapsulated key, as it stood in the request. */
  readonly enc: Uint8Array<ArrayBuffer>;
  /** Exported from the request's HPKE context. */
  readonly secret: Uint8Array<ArrayBuffer>;
}

/** An HPKE context of either side, as far as it is needed here. */
interface Exporter {
  export(context: Uint8Array, length: number): Promise<ArrayBuffer>;
}

/** max(Nn, Nk): the length of the secret and of the nonce (RFC 9458 §4.4). */
const nonceBytes = ({ aead }: Suite): number => Math.max(aead.nonceSize, aead.keySize);

/** Takes from a request's HPKE context what its answer needs. */
export async function responseContextOf(
  exporter: Exporter,
  suite: Suite,
  enc: Uint8Array<ArrayBuffer>,
): Promise<ResponseContext> {
  return { suite, enc, secret: new Uint8Array(await exporter.export(EXPORT_LABEL, nonceBytes(suite))) };
}

/** Seals an answer under a fresh nonce. The context's secret is wiped: it seals nothing else. */
export function sealResponse(context: ResponseContext, response: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return sealResponseUnder(crypto.getRandomValues(new Uint8Array(nonceBytes(context.suite))), context, response);
}

/**
 * `sealResponse` with its nonce, for test vectors. Two answers of one request under one nonce betray one another: nothing but
 * `sealResponse` calls this.
 */
export async function sealResponseUnder(
  nonce: Uint8Array<ArrayBuffer>,
  context: ResponseContext,
  response: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const { key, iv } = await deriveKey(context, nonce);
  return concatBytes(nonce, new Uint8Array(await key.seal(iv, response, NO_DATA)));
}

/**
 * Opens an answer. The context's secret is wiped: it opens nothing else.
 * @throws ServiceError ERR_OHTTP_MALFORMED when it is too short to be one; ERR_DECRYPTION_FAILED when it is not the answer to
 *   this request, for whatever reason.
 */
export async function openResponse(context: ResponseContext, sealed: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const length = nonceBytes(context.suite);
  const shortest = length + context.suite.aead.tagSize;
  if (sealed.length < shortest) {
    wipe(context.secret);
    throw new ServiceError("ERR_OHTTP_MALFORMED", `expected at least ${shortest} bytes, got ${sealed.length}`);
  }
  const { key, iv } = await deriveKey(context, sealed.subarray(0, length));
  try {
    return new Uint8Array(await key.open(iv, copyBytes(sealed.subarray(length)), NO_DATA));
  } catch {
    throw decryptionFailed();
  }
}

/** RFC 9458 §4.4, steps 3 to 5; WebCrypto's HKDF is Extract and Expand in one. */
async function deriveKey({ suite, enc, secret }: ResponseContext, nonce: Uint8Array) {
  const { aead, hash } = suite;
  const ikm = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  wipe(secret);
  const salt = concatBytes(enc, nonce);
  const derive = (info: Uint8Array<ArrayBuffer>, length: number) =>
    crypto.subtle.deriveBits({ name: "HKDF", hash, salt, info }, ikm, 8 * length);
  const [key, iv] = await Promise.all([derive(KEY_LABEL, aead.keySize), derive(NONCE_LABEL, aead.nonceSize)]);
  return { key: aead.createEncryptionContext(key), iv };
}

/** The one refusal for everything that depends on a secret. */
export const decryptionFailed = (): ServiceError => new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed");
