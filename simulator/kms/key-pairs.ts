/**
 * Key pairs: how each spec's is made, and how they leave this process. Whoever does the arithmetic, the public part is a
 * SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) and the private part PKCS #8 (RFC 5958), both DER.
 */
import type { KeyObject } from "node:crypto";
import { createPrivateKey, createPublicKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import { copyBytes, wipe } from "../../shared/bytes.js";
import { unsupported } from "../errors.js";
import type { CurveName } from "./ec-keys.js";
import { isPrivateKeyOn } from "./ec-keys.js";
import { isSoundRsa } from "./import/sound-rsa.js";
import type { AsymmetricMaterial, KeyMaterial, KeyPairMaterial } from "./key-material.js";
import type { KeySpec } from "./key-specs.js";
import {
  decodeLatticePrivateKey,
  encodeLatticePrivateKey,
  encodeLatticePublicKey,
  isLatticeSpec,
  newLatticeMaterial,
} from "./lattice-keys.js";
import { Turns } from "./turns.js";

const pair = promisify(generateKeyPair);

const RSA_BITS: Readonly<Record<string, number>> = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 };
const CURVES: Readonly<Record<string, CurveName>> = {
  ECC_NIST_P256: "prime256v1",
  ECC_NIST_P384: "secp384r1",
  ECC_NIST_P521: "secp521r1",
  ECC_SECG_P256K1: "secp256k1",
};

/**
 * New material of a key pair.
 * @throws AwsError UnsupportedOperationException for specs that this KMS does not make, ThrottlingException
 */
export async function newKeyPair(spec: KeySpec): Promise<KeyPairMaterial> {
  return isLatticeSpec(spec) ? newLatticeMaterial(spec) : { kind: "asymmetric", ...(await newKeyObjects(spec)) };
}

/**
 * RSA takes a while. It is made on the threads of libuv, which a process has four of, all its servers together: writes to
 * the disk and Web Crypto want some of them too.
 */
const rsaTurns = new Turns({ atOnce: 2, waiting: 64 });

/** @throws AwsError ThrottlingException if too many RSA keys are asked for at once, and as `newKeyPair` */
export async function newKeyObjects(spec: KeySpec): Promise<Omit<AsymmetricMaterial, "kind">> {
  const modulusLength = RSA_BITS[spec];
  if (modulusLength !== undefined) return rsaTurns.take(() => pair("rsa", { modulusLength }));
  if (spec === "ECC_NIST_EDWARDS25519") return pair("ed25519");
  const namedCurve = CURVES[spec];
  // SM2 is of China Regions (API_CreateKey, "KeySpec"), and this KMS does not have it there either.
  if (namedCurve === undefined) throw unsupported(`KeySpec ${spec} is not supported in this Region`);
  return pair("ec", { namedCurve });
}

/** The key pair of a private key in PKCS #8, DER; undefined for what is no sound one of that spec. */
export function decodePrivateKey(spec: KeySpec, der: Uint8Array): KeyPairMaterial | undefined {
  if (isLatticeSpec(spec)) return decodeLatticePrivateKey(spec, der);
  const bytes = copyBytes(der);
  try {
    const privateKey = readPrivateKey(spec, bytes);
    return privateKey && { kind: "asymmetric", privateKey, publicKey: createPublicKey(privateKey) };
  } catch {
    return undefined; // whatever is wrong with it
  } finally {
    wipe(bytes);
  }
}

/** Of an Ed25519 key there is the seed alone, and every seed is a key. @throws Error for what is no key at all */
function readPrivateKey(spec: KeySpec, der: Uint8Array<ArrayBuffer>): KeyObject | undefined {
  const curve = CURVES[spec];
  if (curve !== undefined && !isPrivateKeyOn(curve, der)) return undefined;
  const key = createPrivateKey({ key: Buffer.from(der.buffer), format: "der", type: "pkcs8" });
  if (curve !== undefined) return key;
  if (spec === "ECC_NIST_EDWARDS25519") return key.asymmetricKeyType === "ed25519" ? key : undefined;
  const isRsa = key.asymmetricKeyType === "rsa" && key.asymmetricKeyDetails?.modulusLength === RSA_BITS[spec];
  return isRsa && isSoundRsa(key) ? key : undefined;
}

/** Whether the material is a key pair. */
export const isKeyPair = (material: KeyMaterial | undefined): material is KeyPairMaterial =>
  material?.kind === "asymmetric" || material?.kind === "lattice";

/** The DER SubjectPublicKeyInfo. */
export const encodePublicKey = (material: KeyPairMaterial): Uint8Array =>
  material.kind === "lattice"
    ? encodeLatticePublicKey(material)
    : material.publicKey.export({ type: "spki", format: "der" });

/** The DER PKCS #8. */
export const encodePrivateKey = (material: KeyPairMaterial): Uint8Array =>
  material.kind === "lattice"
    ? encodeLatticePrivateKey(material)
    : material.privateKey.export({ type: "pkcs8", format: "der" });
