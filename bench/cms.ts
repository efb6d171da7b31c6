/**
 * Opening a `CiphertextForRecipient`, beside the bare RSA-2048 OAEP decryption that it cannot do without, with the same
 * key object. Short runs of the two stand side by side, in turning order, and each pair has its ratio: whatever else the
 * machine does meets both halves of a pair.
 */
import type { KeyObject } from "node:crypto";
import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { recipientOpener } from "../enclave/kms/ciphertext-for-recipient.js";
import { parseCiphertextForRecipient } from "../shared/cms.js";
import { sealForRecipient } from "../simulator/kms/ciphertext-for-recipient.js";
import type { Row } from "./table.js";
import { median } from "./table.js";

const BOUND = 0.85;
/** A data key; and the largest plaintext that KMS has, for the cost of content, without a bound. */
const DATA_KEY_BYTES = 32;
const LARGEST_BYTES = 4096;
/** Calls in a row that are timed together: a millisecond or two, less than a time slice of the machine. */
const RUN_LENGTH = 4;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const recipient = { publicKey, spki: publicKey.export({ type: "spki", format: "der" }) };
  const envelope = sealForRecipient(new Uint8Array(DATA_KEY_BYTES).fill(7), recipient);
  const largest = sealForRecipient(new Uint8Array(LARGEST_BYTES).fill(7), recipient);
  const { encryptedKey } = parseCiphertextForRecipient(envelope);
  const open = recipientOpener(privateKey);

  const bare = () => bareDecrypt(privateKey, encryptedKey);
  const pairs = smoke ? 100 : 1_000;
  const opened = compare(bare, () => assertOpened(open(envelope), DATA_KEY_BYTES), pairs);
  const openedLargest = compare(bare, () => assertOpened(open(largest), LARGEST_BYTES), pairs);
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

/** Times two calls in pairs; the first tenth of the pairs is for the compiler and not counted. */
function compare(floor: () => void, call: () => void, pairs: number) {
  const floors: number[] = [];
  const times: number[] = [];
  for (let pair = -pairs / 10; pair < pairs; pair++) {
    const [first, second] = pair % 2 === 0 ? [floor, call] : [call, floor];
    const [firstTime, secondTime] = [microseconds(first), microseconds(second)];
    if (pair < 0) continue;
    floors.push(first === floor ? firstTime : secondTime);
    times.push(first === floor ? secondTime : firstTime);
  }
  const ratio = median(times.map((time, pair) => (floors[pair] ?? Number.NaN) / time));
  return { floor: median(floors), median: median(times), ratio };
}

/** Microseconds of one call, in a run of a few. */
function microseconds(call: () => void): number {
  const startedAt = performance.now();
  for (let i = 0; i < RUN_LENGTH; i++) call();
  return ((performance.now() - startedAt) * 1_000) / RUN_LENGTH;
}
