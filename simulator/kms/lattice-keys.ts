/**
 * Keys of the module-lattice schemes, ML-DSA (FIPS 204) and ML-KEM (FIPS 203). A private key is kept as the seed that it is
 * made from. The OpenSSL of Node 20 and 22 does not know them, so @noble/post-quantum does the arithmetic and the encodings
 * are written here: SubjectPublicKeyInfo and PKCS #8 with the seed (RFC 9881 for ML-DSA, RFC 9935 for ML-KEM).
 */
import { randomBytes } from "node:crypto";
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { ml_kem512, ml_kem768, ml_kem1024 } from "@noble/post-quantum/ml-kem.js";
import { equalBytes } from "../../shared/bytes.js";
import { bitString, contextOctets, encodeDer, integer, objectId, octetString, sequence } from "./asn1.js";

export const ML_DSA = { ML_DSA_44: ml_dsa44, ML_DSA_65: ml_dsa65, ML_DSA_87: ml_dsa87 } as const;
export const ML_KEM = { ML_KEM_512: ml_kem512, ML_KEM_768: ml_kem768, ML_KEM_1024: ml_kem1024 } as const;

export type MlDsaSpec = keyof typeof ML_DSA;
export type MlKemSpec = keyof typeof ML_KEM;
export type LatticeSpec = MlDsaSpec | MlKemSpec;

export interface LatticeMaterial<Spec extends LatticeSpec = LatticeSpec> {
  readonly kind: "lattice";
  readonly spec: Spec;
  /** ξ of FIPS 204 (32 bytes), d ‖ z of FIPS 203 (64 bytes). */
  readonly seed: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** NIST's nistAlgorithms arcs: sigAlgs 17 to 19, kems 1 to 3. */
const ALGORITHM_IDS: Readonly<Record<LatticeSpec, string>> = {
  ML_DSA_44: "2.16.840.1.101.3.4.3.17",
  ML_DSA_65: "2.16.840.1.101.3.4.3.18",
  ML_DSA_87: "2.16.840.1.101.3.4.3.19",
  ML_KEM_512: "2.16.840.1.101.3.4.4.1",
  ML_KEM_768: "2.16.840.1.101.3.4.4.2",
  ML_KEM_1024: "2.16.840.1.101.3.4.4.3",
};

export const isLatticeSpec = (spec: string): spec is LatticeSpec => Object.hasOwn(ALGORITHM_IDS, spec);
export const isMlDsa = (key: LatticeMaterial): key is LatticeMaterial<MlDsaSpec> => Object.hasOwn(ML_DSA, key.spec);
export const isMlKem = (key: LatticeMaterial): key is LatticeMaterial<MlKemSpec> => Object.hasOwn(ML_KEM, key.spec);

const SCHEMES = { ...ML_DSA, ...ML_KEM } as const;
const seedBytes = (spec: LatticeSpec): number => (Object.hasOwn(ML_DSA, spec) ? 32 : 64);

export const newLatticeMaterial = (spec: LatticeSpec): LatticeMaterial =>
  latticeMaterial(spec, randomBytes(seedBytes(spec)));

/** The key pair of a seed. */
export const latticeMaterial = <Spec extends LatticeSpec>(spec: Spec, seed: Uint8Array): LatticeMaterial<Spec> => ({
  kind: "lattice",
  spec,
  seed,
  publicKey: SCHEMES[spec].keygen(seed).publicKey,
});

/** The key pair of a private key in `encodeLatticePrivateKey`'s one form; undefined for any other bytes. */
export function decodeLatticePrivateKey(spec: LatticeSpec, der: Uint8Array): LatticeMaterial | undefined {
  if (der.length < seedBytes(spec)) return undefined;
  const material = latticeMaterial(spec, Uint8Array.from(der.subarray(-seedBytes(spec))));
  return equalBytes(encodeLatticePrivateKey(material), der) ? material : undefined;
}

/** The private key in its expanded form, as the arithmetic takes it. */
export const expandPrivateKey = ({ spec, seed }: LatticeMaterial): Uint8Array => SCHEMES[spec].keygen(seed).secretKey;

const algorithmIdentifier = (spec: LatticeSpec) => sequence(objectId(ALGORITHM_IDS[spec]));

/** SubjectPublicKeyInfo (RFC 9881 §4, RFC 9935 §4): no parameters, the raw key in the BIT STRING. */
export const encodeLatticePublicKey = ({ spec, publicKey }: LatticeMaterial): Uint8Array =>
  encodeDer(sequence(algorithmIdentifier(spec), bitString(publicKey)));

/** PKCS #8 whose privateKey is `seed [0] OCTET STRING` (RFC 9881 §6, RFC 9935 §6). */
export const encodeLatticePrivateKey = ({ spec, seed }: LatticeMaterial): Uint8Array =>
  encodeDer(sequence(integer(0), algorithmIdentifier(spec), octetString(encodeDer(contextOctets(0, seed)))));
