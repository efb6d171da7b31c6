/** The signing algorithms of KMS by name, and what does each of them (API_Sign, "SigningAlgorithm"). */
import type { KeyObject } from "node:crypto";
import type { KeyPairMaterial } from "../key-material.js";
import type { SigningAlgorithm } from "../key-specs.js";
import { isMlDsa } from "../lattice-keys.js";
import { signEcdsa, verifyEcdsa } from "./ecdsa.js";
import { signEd25519, signEd25519ph, verifyEd25519, verifyEd25519ph } from "./ed25519.js";
import type { Digest, Hash, Message } from "./message.js";
import { digestOf } from "./message.js";
import { signMlDsa, verifyMlDsa } from "./ml-dsa.js";
import { signPkcs1, signPss, verifyPkcs1, verifyPss } from "./rsa.js";

/** How a key signs and verifies. Its spec has the algorithm, and the message fits both (`assertMessageFits`). */
export interface SignatureScheme {
  readonly sign: (material: KeyPairMaterial, message: Message) => Uint8Array;
  readonly verify: (material: KeyPairMaterial, message: Message, signature: Uint8Array) => boolean;
}

interface Primitives<Key, Content> {
  readonly sign: (privateKey: Key, content: Content) => Uint8Array;
  readonly verify: (publicKey: Key, content: Content, signature: Uint8Array) => boolean;
}

const rsaPkcs1: Primitives<KeyObject, Digest> = { sign: signPkcs1, verify: verifyPkcs1 };
const rsaPss: Primitives<KeyObject, Digest> = { sign: signPss, verify: verifyPss };
const ecdsa: Primitives<KeyObject, Digest> = { sign: signEcdsa, verify: verifyEcdsa };
const ed25519: Primitives<KeyObject, Uint8Array> = { sign: signEd25519, verify: verifyEd25519 };
const ed25519ph: Primitives<KeyObject, Uint8Array> = { sign: signEd25519ph, verify: verifyEd25519ph };

const overDigest = (hash: Hash, { sign, verify }: Primitives<KeyObject, Digest>): SignatureScheme => ({
  sign: (material, message) => sign(keyObjects(material).privateKey, digestOf(message, hash)),
  verify: (material, message, signature) => verify(keyObjects(material).publicKey, digestOf(message, hash), signature),
});

const overMessage = ({ sign, verify }: Primitives<KeyObject, Uint8Array>): SignatureScheme => ({
  sign: (material, { bytes }) => sign(keyObjects(material).privateKey, bytes),
  verify: (material, { bytes }, signature) => verify(keyObjects(material).publicKey, bytes, signature),
});

function keyObjects(material: KeyPairMaterial) {
  if (material.kind !== "asymmetric") throw new TypeError("the scheme takes a key of OpenSSL's");
  return material;
}

function mlDsaMaterial(material: KeyPairMaterial) {
  if (material.kind !== "lattice" || !isMlDsa(material)) throw new TypeError("the scheme takes an ML-DSA key");
  return material;
}

/** SM2DSA is of China Regions' keys, which this KMS does not make. */
export const SIGNATURE_SCHEMES: Readonly<Record<Exclude<SigningAlgorithm, "SM2DSA">, SignatureScheme>> = {
  RSASSA_PSS_SHA_256: overDigest("sha256", rsaPss),
  RSASSA_PSS_SHA_384: overDigest("sha384", rsaPss),
  RSASSA_PSS_SHA_512: overDigest("sha512", rsaPss),
  RSASSA_PKCS1_V1_5_SHA_256: overDigest("sha256", rsaPkcs1),
  RSASSA_PKCS1_V1_5_SHA_384: overDigest("sha384", rsaPkcs1),
  RSASSA_PKCS1_V1_5_SHA_512: overDigest("sha512", rsaPkcs1),
  ECDSA_SHA_256: overDigest("sha256", ecdsa),
  ECDSA_SHA_384: overDigest("sha384", ecdsa),
  ECDSA_SHA_512: overDigest("sha512", ecdsa),
  ML_DSA_SHAKE_256: {
    sign: (material, message) => signMlDsa(mlDsaMaterial(material), message),
    verify: (material, message, signature) => verifyMlDsa(mlDsaMaterial(material), message, signature),
  },
  ED25519_SHA_512: overMessage(ed25519),
  ED25519_PH_SHA_512: overMessage(ed25519ph),
};
