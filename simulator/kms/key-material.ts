/** Key material that never leaves this process in the clear, and how ciphertexts name it. */
import type { KeyObject } from "node:crypto";
import { createHash, createSecretKey, randomBytes } from "node:crypto";
import type { LatticeMaterial } from "./lattice-keys.js";

/** Of a symmetric encryption key. `id` is KMS's KeyMaterialId: 64 hexadecimal digits that tell nothing of the secret. */
export interface SymmetricMaterial {
  readonly kind: "symmetric";
  readonly id: string;
  readonly secret: KeyObject;
}

/** Of an HMAC key. */
export interface MacMaterial {
  readonly kind: "mac";
  readonly secret: KeyObject;
}

/** Of a key pair that OpenSSL works with. */
export interface AsymmetricMaterial {
  readonly kind: "asymmetric";
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Of any key pair. */
export type KeyPairMaterial = AsymmetricMaterial | LatticeMaterial;

export type KeyMaterial = SymmetricMaterial | MacMaterial | KeyPairMaterial;

/** New AES-256 material. */
export function newSymmetricMaterial(): SymmetricMaterial {
  const id = createHash("sha256").update(randomBytes(32)).digest("hex");
  return { kind: "symmetric", id, secret: createSecretKey(randomBytes(32)) };
}

/** The 16 bytes by which ciphertexts name a key material. */
export const materialIdBytes = ({ id }: SymmetricMaterial): Uint8Array => Buffer.from(id, "hex").subarray(0, 16);
