/** A KMS for sealing seeds: it opens what it made, and what was encrypted under it, in the same encryption context alone. */
import { randomBytes } from "node:crypto";
import { fromBase64, toBase64, utf8 } from "../../../shared/bytes.js";
import type { FakeKms, Json } from "../fakes.js";
import { fakeKms, KEY_ARN } from "../fakes.js";

export interface SeedKms extends FakeKms {
  /** As kms:Encrypt answers whoever may call it: base64. */
  encrypt(plaintext: Uint8Array, context: Json): string;
  /** Answers instead, while it is set. */
  failure: Json | undefined;
}

export function seedKms(): SeedKms {
  const encrypt = (plaintext: Uint8Array, context: Json): string =>
    toBase64(utf8(JSON.stringify({ plaintext: toBase64(plaintext), context: sorted(context) })));
  const answer = ({ operation, body }: { operation: string; body: Json }): Json => {
    if (kms.failure) return kms.failure;
    const context = Object(body.EncryptionContext);
    if (operation === "GenerateDataKey") {
      const seed = randomBytes(Number(body.NumberOfBytes));
      return { KeyId: KEY_ARN, Plaintext: toBase64(seed), CiphertextBlob: encrypt(seed, context) };
    }
    const opened = open(String(body.CiphertextBlob));
    const isOfContext = JSON.stringify(opened?.context) === JSON.stringify(sorted(context));
    if (opened === undefined || !isOfContext) return { $status: 400, __type: "InvalidCiphertextException" };
    return { KeyId: KEY_ARN, Plaintext: opened.plaintext };
  };
  const kms: SeedKms = { ...fakeKms(answer), encrypt, failure: undefined };
  return kms;
}

const sorted = (context: Json): unknown => Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));

function open(ciphertext: string): { plaintext: string; context: unknown } | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(fromBase64(ciphertext)));
  } catch {
    return undefined; // not one of its own
  }
}
