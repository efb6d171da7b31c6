/** EMSA-PSS (RFC 8017 §9.1) with MGF1 of the same hash function and a salt as long as the digest, as KMS has it. */
import { createHash, randomBytes } from "node:crypto";
import { concatBytes, equalBytes } from "../../../shared/bytes.js";
import type { Digest, Hash } from "./message.js";
import { HASH_BYTES } from "./message.js";

const TRAILER = 0xbc;

/** EMSA-PSS-ENCODE (§9.1.1) of a digest into `emBits` bits. */
export function encodePss(digest: Digest, emBits: number): Uint8Array {
  const emLength = Math.ceil(emBits / 8);
  const salt = randomBytes(HASH_BYTES[digest.hash]);
  const h = hashWithSalt(digest, salt);
  const padding = new Uint8Array(emLength - salt.length - h.length - 2);
  const db = concatBytes(padding, Uint8Array.of(1), salt);
  const maskedDb = clearLeftBits(xor(db, mgf1(h, digest.hash, db.length)), 8 * emLength - emBits);
  return concatBytes(maskedDb, h, Uint8Array.of(TRAILER));
}

/** EMSA-PSS-VERIFY (§9.1.2): whether `encoded` is an encoding of the digest. The numbers are the specification's steps. */
export function isPssOf(digest: Digest, encoded: Uint8Array, emBits: number): boolean {
  const saltBytes = HASH_BYTES[digest.hash];
  const dbBytes = encoded.length - saltBytes - 1;
  const unusedBits = 8 * encoded.length - emBits;
  const [maskedDb, h] = [encoded.subarray(0, dbBytes), encoded.subarray(dbBytes, -1)]; // 5
  if (encoded.at(-1) !== TRAILER) return false; // 4
  if (!equalBytes(maskedDb, clearLeftBits(maskedDb, unusedBits))) return false; // 6
  const db = clearLeftBits(xor(maskedDb, mgf1(h, digest.hash, dbBytes)), unusedBits); // 7 to 9
  const [padding, one, salt] = [db.subarray(0, -saltBytes - 1), db.at(-saltBytes - 1), db.subarray(-saltBytes)];
  if (padding.some((octet) => octet !== 0) || one !== 1) return false; // 10
  return equalBytes(h, hashWithSalt(digest, salt)); // 11 to 14
}

/** H = Hash(M'), where M' is eight octets of zero, the digest and the salt. */
const hashWithSalt = ({ hash, bytes }: Digest, salt: Uint8Array): Uint8Array =>
  createHash(hash).update(new Uint8Array(8)).update(bytes).update(salt).digest();

/** MGF1 (§B.2.1). */
function mgf1(seed: Uint8Array, hash: Hash, length: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(length / HASH_BYTES[hash]) }, (_, counter) =>
    createHash(hash)
      .update(seed)
      .update(Uint8Array.of(0, 0, 0, counter))
      .digest(),
  );
  return concatBytes(...blocks).subarray(0, length);
}

const xor = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  left.map((octet, index) => octet ^ (right[index] ?? 0));

/** The bytes with their leftmost `count` bits, fewer than eight, set to zero. */
const clearLeftBits = (bytes: Uint8Array, count: number): Uint8Array =>
  bytes.map((octet, index) => (index === 0 ? octet & (0xff >> count) : octet));
