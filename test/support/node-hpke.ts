/**
 * A second opinion on sealed messages: HPKE in base mode (RFC 9180) and the encapsulation of RFC 9458 §4.3 and §4.4, written
 * from the RFCs over node:crypto. It shares no code with shared/ohttp and does not use @hpke/core.
 */
import type { KeyObject } from "node:crypto";
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
} from "node:crypto";

const X25519 = 0x20;
const HASH_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const EMPTY: Buffer = Buffer.alloc(0);

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const extract = (salt: Uint8Array, ikm: Uint8Array): Buffer => createHmac("sha256", salt).update(ikm).digest();

function expand(prk: Uint8Array, info: Uint8Array, length: number): Buffer {
  let output = EMPTY;
  let block = EMPTY;
  for (let i = 1; output.length < length; i++) {
    block = createHmac("sha256", prk)
      .update(block)
      .update(info)
      .update(Buffer.from([i]))
      .digest();
    output = Buffer.concat([output, block]);
  }
  return output.subarray(0, length);
}

/** LabeledExtract and LabeledExpand (RFC 9180 §4) under one suite_id. */
const labeled = (suiteId: Uint8Array) => ({
  extract: (salt: Uint8Array, label: string, ikm: Uint8Array) =>
    extract(salt, Buffer.concat([Buffer.from("HPKE-v1"), suiteId, Buffer.from(label), ikm])),
  expand: (prk: Uint8Array, label: string, info: Uint8Array, length: number) =>
    expand(
      prk,
      Buffer.concat([uint16(length), Buffer.from("HPKE-v1"), suiteId, Buffer.from(label), Buffer.from(info)]),
      length,
    ),
});

export interface NodeKeyPair {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly privateKey: KeyObject;
}

export function generateNodeKeyPair(kemId: number): NodeKeyPair {
  const { publicKey, privateKey } =
    kemId === X25519 ? generateKeyPairSync("x25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x = "", y } = publicKey.export({ format: "jwk" });
  const coordinates = [x, ...(y === undefined ? [] : [y])].map((part) => Buffer.from(part, "base64url"));
  return {
    publicKey: new Uint8Array(Buffer.concat([...(y === undefined ? [] : [Buffer.from([4])]), ...coordinates])),
    privateKey,
  };
}

function publicKeyOf(kemId: number, bytes: Uint8Array): KeyObject {
  const raw = Buffer.from(bytes);
  const jwk =
    kemId === X25519
      ? { kty: "OKP", crv: "X25519", x: raw.toString("base64url") }
      : {
          kty: "EC",
          crv: "P-256",
          x: raw.subarray(1, 33).toString("base64url"),
          y: raw.subarray(33).toString("base64url"),
        };
  return createPublicKey({ key: jwk, format: "jwk" });
}

/** The shared secret of DHKEM (RFC 9180 §4.1) and the key schedule of base mode (§5.1), up to what both sides need. */
function contextOf(header: Uint8Array, dh: Uint8Array, [enc, recipient]: readonly [Uint8Array, Uint8Array]) {
  const kem = labeled(Buffer.concat([Buffer.from("KEM"), header.subarray(1, 3)]));
  const eaePrk = kem.extract(EMPTY, "eae_prk", dh);
  const sharedSecret = kem.expand(eaePrk, "shared_secret", Buffer.concat([enc, recipient]), HASH_BYTES);

  const info = Buffer.concat([Buffer.from("message/bhttp request"), Buffer.from([0]), header]);
  const suite = labeled(Buffer.concat([Buffer.from("HPKE"), header.subarray(1, 7)]));
  const [pskIdHash, infoHash] = [suite.extract(EMPTY, "psk_id_hash", EMPTY), suite.extract(EMPTY, "info_hash", info)];
  const context = Buffer.concat([Buffer.from([0]), pskIdHash, infoHash]);
  const secret = suite.extract(sharedSecret, "secret", EMPTY);
  const keyBytes = header[6] === 1 ? 16 : 32;
  const exporterSecret = suite.expand(secret, "exp", context, HASH_BYTES);
  return {
    key: suite.expand(secret, "key", context, keyBytes),
    nonce: suite.expand(secret, "base_nonce", context, NONCE_BYTES),
    responseSecret: suite.expand(exporterSecret, "sec", Buffer.from("message/bhttp response"), keyBytes),
  };
}

const gcm = (key: Uint8Array) => `aes-${8 * key.length}-gcm` as "aes-128-gcm" | "aes-256-gcm";

function gcmSeal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv(gcm(key), key, nonce);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function gcmOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Buffer {
  const decipher = createDecipheriv(gcm(key), key, nonce).setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
}

/** Key and nonce of an answer (RFC 9458 §4.4). */
function responseKey(secret: Uint8Array, enc: Uint8Array, responseNonce: Uint8Array) {
  const prk = extract(Buffer.concat([enc, responseNonce]), secret);
  return [expand(prk, Buffer.from("key"), secret.length), expand(prk, Buffer.from("nonce"), NONCE_BYTES)] as const;
}

/** What the enclave does with a sealed request. */
export function nodeOpen(kemId: number, keys: NodeKeyPair, sealed: Uint8Array) {
  const header = sealed.subarray(0, 7);
  const enc = sealed.subarray(7, 7 + keys.publicKey.length);
  const dh = diffieHellman({ privateKey: keys.privateKey, publicKey: publicKeyOf(kemId, enc) });
  const { key, nonce, responseSecret } = contextOf(header, dh, [enc, keys.publicKey]);
  return {
    request: new Uint8Array(gcmOpen(key, nonce, sealed.subarray(7 + enc.length))),
    sealResponse(response: Uint8Array): Uint8Array {
      const responseNonce = randomBytes(responseSecret.length);
      const [responseAead, iv] = responseKey(responseSecret, enc, responseNonce);
      return Buffer.concat([responseNonce, gcmSeal(responseAead, iv, response)]);
    },
  };
}

/** What the client does: seals `request` under a header that it takes as it is. */
export function nodeSeal(header: Uint8Array, recipient: Uint8Array, request: Uint8Array) {
  const kemId = (header[1] ?? 0) * 0x100 + (header[2] ?? 0);
  const ephemeral = generateNodeKeyPair(kemId);
  const enc = ephemeral.publicKey;
  const dh = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: publicKeyOf(kemId, recipient) });
  const { key, nonce, responseSecret } = contextOf(header, dh, [enc, recipient]);
  return {
    sealed: Buffer.concat([header, enc, gcmSeal(key, nonce, request)]),
    openResponse(sealed: Uint8Array): Uint8Array {
      const responseNonce = sealed.subarray(0, responseSecret.length);
      const [responseAead, iv] = responseKey(responseSecret, enc, responseNonce);
      return new Uint8Array(gcmOpen(responseAead, iv, sealed.subarray(responseNonce.length)));
    },
  };
}
