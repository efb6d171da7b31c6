/**
 * What binds the confidential channels to an attestation document: `user_data` of a document made for a client is a
 * version and a hash of the keys with which the enclave can be spoken to. Whoever has verified and appraised the
 * document, and computes the same value from the keys that came beside it, knows that these keys are the enclave's own
 * (PITFALLS 13): an HPKE key that a parent put in their place gives another value.
 *
 *   user_data = 0x01 ‖ SHA-384("nitro-decrypt/endpoint-keys/v1" ‖ 0x00 ‖ field(keyConfigurations) ‖ field(tlsKey))
 *   field(x)  = 0x01 ‖ length of x in 4 bytes, big-endian ‖ x, or 0x00 where there is none
 *
 * One document attests both keys, so a client needs both to compute the value, whichever it uses.
 */
import { concatBytes, digest, utf8 } from "../bytes.js";

/** The keys of one enclave, as a client gets them. */
export interface EndpointKeys {
  /** RFC 9458 §3.2, `application/ohttp-keys`: the HPKE keys that sealed requests go to. */
  readonly keyConfigurations: Uint8Array;
  /** DER SubjectPublicKeyInfo of the TLS certificate; undefined where the enclave serves no TLS. */
  readonly tlsKey: Uint8Array | undefined;
}

const VERSION = 1;
const LABEL = "nitro-decrypt/endpoint-keys/v1";

/** The `user_data` that binds `keys`: 49 bytes. */
export async function endpointKeysUserData(keys: EndpointKeys): Promise<Uint8Array<ArrayBuffer>> {
  const separator = Uint8Array.of(0);
  const hash = await digest(
    "SHA-384",
    concatBytes(utf8(LABEL), separator, field(keys.keyConfigurations), field(keys.tlsKey)),
  );
  return concatBytes(Uint8Array.of(VERSION), hash);
}

function field(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) return Uint8Array.of(0);
  const head = new Uint8Array(5);
  head[0] = 1;
  new DataView(head.buffer).setUint32(1, bytes.length);
  return concatBytes(head, bytes);
}
