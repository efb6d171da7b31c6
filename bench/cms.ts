/**
 * Opening a `CiphertextForRecipient`, beside the bare RSA-2048 OAEP decryption that it cannot do without, with the same
 * key object.
 */
import type { KeyObject } from "node:crypto";
import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { recipientOpener } from "../enclave/kms/ciphertext-for-recipient.js";
import { parseCiphertextForRecipient } from "../shared/cms.js";
import { sealForRecipient } from "../simulator/kms/ciphertext-for-recipient.js";
import { compare } from "./pairs.js";
import type { Row } from "./table.js";

const BOUND = 0.85;
/** A data key; and the largest plaintext that KMS has, for the cost of content, without a bound. */
const DATA_KEY_BYTES = 32;
const LARGEST_BYTES = 4096;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const recipient = { publicKey, spki: publicKey.export({ type: "spki", format: "der" }) };
  const envelope = sealForRecipient(new Uint8Array(DATA_KEY_BYTES).fill(7), recipient);
  const largest = sealForRecipient(new Uint8Array(LARGEST_BYTES).fill(7), recipient);
  const { encryptedKey } = parseCiphertextForRecipient(envelope);
  const open = recipientOpener(privateKey);

  const bare = () => bareDecrypt(privateKey, encryptedKey);
  const effort = { pairs: smoke ? 100 : 1_000, runLength: 4 };
  const opened = compare(bare, () => assertOpened(open(envelope), DATA_KEY_BYTES), effort);
  const openedLargest = compare(bare, () => assertOpened(open(largest), LARGEST_BYTES), effort);
  const peer = "bare RSA-2048 OAEP decryption";
  return [
    { name: peer, median: opened.floor, unit: "µs" },
    {
      name: "open CiphertextForRecipient, 32 bytes",
      median: opened.median,
      unit: "µs",
      ratio: opened.ratio,
      bound: BOUND,
      peer,
    },
    {
      name: "open CiphertextForRecipient, 4096 bytes",
      median: openedLargest.median,
      unit: "µs",
      ratio: openedLargest.ratio,
      peer,
    },
  ];
}

function bareDecrypt(key: KeyObject, encryptedKey: Uint8Array): void {
  const options = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  if (privateDecrypt(options, encryptedKey).length !== 32) throw new Error("expected a key of 32 bytes");
}

function assertOpened(plaintext: Uint8Array, length: number): void {
  if (plaintext.length !== length || plaintext[0] !== 7) throw new Error("the plaintext is not what was sealed");
}
