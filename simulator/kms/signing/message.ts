/**
 * What is signed (API_Sign, "Message" and "MessageType"): the message itself, its digest, or the representative μ of ML-DSA;
 * and which of them go with a key spec and a signing algorithm.
 */
import { createHash } from "node:crypto";
import { validationError } from "../../errors.js";
import type { KeySpec, MessageType, SigningAlgorithm } from "../key-specs.js";

export interface Message {
  readonly type: MessageType;
  readonly bytes: Uint8Array;
}

/** The hash functions of the signing algorithms, by OpenSSL's name, and how long their digests are. */
export const HASH_BYTES = { sha256: 32, sha384: 48, sha512: 64 } as const;
export type Hash = keyof typeof HASH_BYTES;

export interface Digest {
  readonly hash: Hash;
  readonly bytes: Uint8Array;
}

/** The digest that a message is or has. */
export const digestOf = ({ type, bytes }: Message, hash: Hash): Digest => ({
  hash,
  bytes: type === "DIGEST" ? bytes : createHash(hash).update(bytes).digest(),
});

/** FIPS 204 §6.2: μ is 64 bytes of SHAKE256. */
const MU_BYTES = 64;

/** @throws AwsError ValidationException for a type that does not go with the key or algorithm, and for a wrong length */
export function assertMessageFits({ type, bytes }: Message, spec: KeySpec, algorithm: SigningAlgorithm): void {
  if (type === (spec.startsWith("ML_DSA_") ? "DIGEST" : "EXTERNAL_MU")) {
    throw validationError(`Message type ${type} is incompatible with key spec ${spec}.`);
  }
  // The two algorithms of Ed25519 take one type each (API_CreateKey, "KeySpec").
  if ((algorithm === "ED25519_SHA_512" && type !== "RAW") || (algorithm === "ED25519_PH_SHA_512" && type === "RAW")) {
    throw validationError(`Message type ${type} is incompatible with algorithm ${algorithm}.`);
  }
  if (type === "DIGEST" && bytes.length !== digestBytes(algorithm)) {
    throw validationError(`Digest is invalid length for algorithm ${algorithm}.`);
  }
  if (type === "EXTERNAL_MU" && bytes.length !== MU_BYTES) {
    throw validationError(`External Mu is invalid length for algorithm ${algorithm}.`);
  }
}

/** The bits of its hash function end the name of an algorithm. */
const digestBytes = (algorithm: SigningAlgorithm): number => Number(algorithm.slice(-3)) / 8;
