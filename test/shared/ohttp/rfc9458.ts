/** RFC 9458 appendix A: the complete example, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. */
import { DhkemX25519HkdfSha256 } from "@hpke/core";
import type { OhttpKeyPair } from "../../../shared/ohttp/key-configuration.js";
import { hex } from "../../support/hex.js";

export const PRIVATE_KEY = hex("3c168975674b2fa8e465970b79c8dcf09f1c741626480bd4c6162fc5b6a98e1a");
export const PUBLIC_KEY = hex("31e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e798155");
/** One configuration, without the length that `application/ohttp-keys` puts before it. */
export const KEY_CONFIGURATION = hex(`
  01002031e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e
  79815500080001000100010003`);
export const REQUEST = hex("00034745540568747470730b6578616d706c652e636f6d012f");
export const EPHEMERAL_PRIVATE_KEY = hex("bc51d5e930bda26589890ac7032f70ad12e4ecb37abb1b65b1256c9c48999c73");
export const ENC = hex("4b28f881333e7c164ffc499ad9796f877f4e1051ee6d31bad19dec96c208b472");
export const INFO = hex("6d6573736167652f626874747020726571756573740001002000010001");
export const ENCAPSULATED_REQUEST = hex(`
  010020000100014b28f881333e7c164ffc499ad9796f877f4e1051ee6d31bad1
  9dec96c208b4726374e469135906992e1268c594d2a10c695d858c40a026e796
  5e7d86b83dd440b2c0185204b4d63525`);
export const RESPONSE = hex("0140c8");
export const EXPORTED_SECRET = hex("62d87a6ba569ee81014c2641f52bea36");
export const RESPONSE_NONCE = hex("c789e7151fcba46158ca84b04464910d");
export const ENCAPSULATED_RESPONSE = hex(`
  c789e7151fcba46158ca84b04464910d86f9013e404feea014e7be4a441f234f
  857fbd`);

/** A key pair of WebCrypto from its raw parts. */
export async function importX25519(privateKey: Uint8Array, publicKey: Uint8Array): Promise<CryptoKeyPair> {
  const kem = new DhkemX25519HkdfSha256();
  return {
    privateKey: await kem.deserializePrivateKey(privateKey),
    publicKey: await kem.deserializePublicKey(publicKey),
  };
}

/** The gateway's key pair of the example. */
export async function exampleKeyPair(): Promise<OhttpKeyPair> {
  const [kdfId, aeadId, kemId] = [1, 1, 0x20];
  return {
    configuration: {
      keyId: 1,
      kemId,
      publicKey: PUBLIC_KEY,
      symmetric: [
        { kdfId, aeadId },
        { kdfId, aeadId: 3 },
      ],
    },
    keys: await importX25519(PRIVATE_KEY, PUBLIC_KEY),
  };
}
