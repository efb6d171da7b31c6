/**
 * Opening a `CiphertextForRecipient`, beside the bare RSA-2048 OAEP decryption that it cannot do without, with the same
 * key object. Short runs of each alternate: what else the machine does meets all of them, and falls out of the medians.
 */
import type { KeyObject } from "node:crypto";
import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { recipientOpener } from "../enclave/ciphertext-for-recipient.js";
import { parseCiphertextForRecipient } from "../shared/cms.js";
import { sealForRecipient } from "../simulator/kms/ciphertext-for-recipient.js";
import type { Row } from "./table.js";
import { median } from "./table.js";

const BOUND = 0.85;
/** A data key; and the largest plaintext that KMS has, for the cost of content, without a bound. */
const DATA_KEY_BYTES = 32;
const LARGEST_BYTES = 4096;
/** Calls in a row that are timed together: 3 ms, less than a time slice of the machine. */
const RUN_LENGTH = 10;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const recipient = { publicKey, spki: publicKey.export({ type: "spki", format: "der" }) };
  const envelope = sealForRecipient(new Uint8Array(DATA_KEY_BYTES).fill(7), recipient);
  const largest = sealForRecipient(new Uint8Array(LARGEST_BYTES).fill(7), recipient);
  const { encryptedKey } = parseCiphertextForRecipient(envelope);
  const open = recipientOpener(privateKey);

  const [bare, opened, openedLargest, read] = [new Stopwatch(), new Stopwatch(), new Stopwatch(), new Stopwatch()];
  const rounds = smoke ? 30 : 300;
  for (let round = -rounds / 10; round < rounds; round++) {
    if (round === 0) for (const stopwatch of [bare, opened, openedLargest, read]) stopwatch.reset(); // compiled by now
    bare.time(() => bareDecrypt(privateKey, encryptedKey));
    opened.time(() => assertOpened(open(envelope), DATA_KEY_BYTES));
    openedLargest.time(() => assertOpened(open(largest), LARGEST_BYTES));
    read.time(() => void parseCiphertextForRecipient(envelope));
  }
  const peer = "bare RSA-2048 OAEP decryption";
  const floor = bare.median;
  return [
    { name: peer, median: floor, unit: "µs" },
    {
      name: "open CiphertextForRecipient, 32 bytes",
      median: opened.median,
      unit: "µs",
      ratio: floor / opened.median,
      bound: BOUND,
      peer,
    },
    {
      name: "open CiphertextForRecipient, 4096 bytes",
      median: openedLargest.median,
      unit: "µs",
      ratio: floor / openedLargest.median,
      peer,
    },
    { name: "read CiphertextForRecipient, 32 bytes", median: read.median, unit: "µs" },
  ];
}

function bareDecrypt(key: KeyObject, encryptedKey: Uint8Array): void {
  const options = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  if (privateDecrypt(options, encryptedKey).length !== 32) throw new Error("expected a key of 32 bytes");
}

function assertOpened(plaintext: Uint8Array, length: number): void {
  if (plaintext.length !== length || plaintext[0] !== 7) throw new Error("the plaintext is not what was sealed");
}

class Stopwatch {
  #times: number[] = [];

  /** Times one run of calls. */
  time(call: () => void): void {
    const startedAt = performance.now();
    for (let i = 0; i < RUN_LENGTH; i++) call();
    this.#times.push(((performance.now() - startedAt) * 1_000) / RUN_LENGTH);
  }

  reset(): void {
    this.#times = [];
  }

  /** Microseconds. */
  get median(): number {
    return median(this.#times);
  }
}
