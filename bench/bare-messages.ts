/**
 * The cryptography that an AWS Encryption SDK message cannot do without, on bare `node:crypto` and with a data key that is there:
 * for the suites with key commitment HKDF-SHA-512 for the key and for the commitment, AES-256-GCM over the header and over each
 * frame, and for the signed one a P-384 key of its own with ECDSA over all of it (Encryption SDK, algorithms reference). No
 * format, no encryption context, no keyring.
 */
import type { KeyObject } from "node:crypto";
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  createSign,
  createVerify,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
} from "node:crypto";

/** What the SDK makes unless it is told otherwise. */
const FRAME_BYTES = 4_096;
const TAG_BYTES = 16;
const COMMITMENT_INFO = Buffer.from("COMMITKEY");
const KEY_INFO = Buffer.concat([Buffer.from([0x04, 0x78]), Buffer.from("DERIVEKEY")]);
const NO_BYTES = Buffer.alloc(0);

export interface BareMessage {
  readonly salt: Buffer;
  readonly commitment: Buffer;
  readonly headerTag: Buffer;
  /** Ciphertext and tag of each. */
  readonly frames: readonly Buffer[];
  /** Signature, and the public key as it stands in a message's context. */
  readonly signed: { readonly signature: Buffer; readonly publicKey: Buffer } | undefined;
}

export function makeBare(dataKey: Buffer, plaintext: Uint8Array, signed: boolean): BareMessage {
  const pair = signed ? generateKeyPairSync("ec", { namedCurve: "P-384" }) : undefined;
  const salt = randomBytes(32);
  const { key, commitment } = derive(dataKey, salt);
  const headerTag = seal(key, 0, NO_BYTES);
  const frames: Buffer[] = [];
  for (let begin = 0; begin < plaintext.length; begin += FRAME_BYTES) {
    frames.push(seal(key, frames.length + 1, plaintext.subarray(begin, begin + FRAME_BYTES)));
  }
  const rest = { salt, commitment, headerTag, frames };
  return { ...rest, signed: pair && signatureOf(rest, pair) };
}

/** @throws Error where it is not what it was. */
export function openBare(dataKey: Buffer, message: BareMessage): Buffer {
  const { salt, commitment, headerTag, frames, signed } = message;
  const derived = derive(dataKey, salt);
  if (!derived.commitment.equals(commitment)) throw new Error("openBare: another commitment");
  open(derived.key, 0, headerTag);
  const plaintext = Buffer.concat(frames.map((frame, index) => open(derived.key, index + 1, frame)));
  if (signed && !verified(message, signed)) throw new Error("openBare: another signature");
  return plaintext;
}

const derive = (dataKey: Buffer, salt: Buffer): { readonly key: Buffer; readonly commitment: Buffer } => ({
  key: Buffer.from(hkdfSync("sha512", dataKey, salt, KEY_INFO, 32)),
  commitment: Buffer.from(hkdfSync("sha512", dataKey, salt, COMMITMENT_INFO, 32)),
});

function ivOf(sequence: number): Buffer {
  const iv = Buffer.alloc(12);
  iv.writeUInt32BE(sequence, 8);
  return iv;
}

function seal(key: Buffer, sequence: number, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv("aes-256-gcm", key, ivOf(sequence));
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Buffer, sequence: number, sealed: Buffer): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, ivOf(sequence), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final()]);
}

type Unsigned = Omit<BareMessage, "signed">;

function signatureOf(message: Unsigned, { privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }) {
  const sign = createSign("sha384");
  for (const part of signedParts(message)) sign.update(part);
  return { signature: sign.sign(privateKey), publicKey: publicKey.export({ type: "spki", format: "der" }) };
}

function verified(message: Unsigned, { signature, publicKey }: NonNullable<BareMessage["signed"]>): boolean {
  const verify = createVerify("sha384");
  for (const part of signedParts(message)) verify.update(part);
  return verify.verify(createPublicKey({ key: publicKey, type: "spki", format: "der" }), signature);
}

const signedParts = ({ salt, commitment, headerTag, frames }: Unsigned): readonly Buffer[] => [
  ...[salt, commitment, headerTag],
  ...frames,
];
