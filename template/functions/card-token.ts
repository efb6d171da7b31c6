/**
 * `card-token`: from an encrypted card number to its last four digits, and a token that stands for the number.
 *
 * The token is HMAC-SHA-256 under a key that only enclaves can open. Equal numbers of one tenant have equal tokens; those of
 * two tenants cannot be compared, because the tenant is under the HMAC too. It is taken from the encryption context, which
 * KMS has authenticated, and never from the input.
 *
 * Without the key nobody can go through all card numbers; whoever may call this function on ciphertexts of his own making
 * can. So who may encrypt for a tenant is as much to be decided (in the key policy) as who may call (in policies.cedar).
 */
import type { KeyObject } from "node:crypto";
import { createHmac, createSecretKey } from "node:crypto";
import { DecryptCommand } from "@aws-sdk/client-kms";
import type { EnclaveFunction, FunctionCall } from "nitro-decrypt/enclave";
import { defineFunction, ServiceError } from "nitro-decrypt/enclave";
import { z } from "zod";

/** The HMAC key as KMS encrypted it. It is read from settings.json, which is measured with the image. */
export interface CardTokenOptions {
  readonly hmacKeyCiphertext: Uint8Array;
  /** ARN of the KMS key that opens it. */
  readonly keyId: string;
  /** Must have no `tenant`: then policies.cedar lets no caller name this ciphertext as if it were data. */
  readonly encryptionContext: Readonly<Record<string, string>>;
}

type Kms = FunctionCall<unknown>["kms"];

const LABEL = "my-enclave/card-token/v1";
const HMAC_KEY_BYTES = 32;
/** ISO/IEC 7812-1: at most 19 digits. Shorter than 12 is no payment card. */
const DIGITS = { min: 12, max: 19 } as const;

/** The function, with the HMAC key that it opens when it is first called. */
export function createCardToken(options: CardTokenOptions): EnclaveFunction {
  const hmacKey = onceOpened((kms) => openHmacKey(kms, options));
  return defineFunction({
    name: "card-token",
    input: z.undefined(),
    output: z.strictObject({ lastFour: z.string().regex(/^\d{4}$/), token: z.string().regex(/^[\w-]{43}$/) }),
    run: async ({ plaintext, encryptionContext, kms }) => {
      const { tenant } = encryptionContext;
      if (tenant === undefined) throw new ServiceError("ERR_FUNCTION_REFUSED", "expected a ciphertext of a tenant");
      assertCardNumber(plaintext);
      const hmac = createHmac("sha256", await hmacKey(kms));
      for (const part of [Buffer.from(LABEL), Buffer.from(tenant), plaintext]) hmac.update(lengthOf(part)).update(part);
      return { lastFour: Buffer.from(plaintext.subarray(-4)).toString("latin1"), token: hmac.digest("base64url") };
    },
  });
}

/** With its length before it, no part can pass for the end of the one before. */
function lengthOf(part: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(part.length);
  return length;
}

/** Digits alone, with their check digit. They stay bytes: a string could not be overwritten. */
function assertCardNumber(digits: Uint8Array): void {
  const isOfLength = digits.length >= DIGITS.min && digits.length <= DIGITS.max;
  if (isOfLength && digits.every((byte) => byte >= 0x30 && byte <= 0x39) && luhnSum(digits) % 10 === 0) return;
  throw new ServiceError("ERR_FUNCTION_REFUSED", "expected 12 to 19 digits with their check digit");
}

/** ISO/IEC 7812-1 annex B. */
function luhnSum(digits: Uint8Array): number {
  return digits.reduceRight((sum, byte, index) => {
    const doubled = (byte - 0x30) * ((digits.length - index) % 2 === 0 ? 2 : 1);
    return sum + Math.floor(doubled / 10) + (doubled % 10);
  }, 0);
}

/** Opens once, whoever asks first. A failure is not kept: the next call tries again. */
function onceOpened(open: (kms: Kms) => Promise<KeyObject>): (kms: Kms) => Promise<KeyObject> {
  let opened: Promise<KeyObject> | undefined;
  return (kms) => {
    opened ??= open(kms).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}

/** Not tied to the signal of the call that happens to be first: others wait for the same key. */
async function openHmacKey(kms: Kms, options: CardTokenOptions): Promise<KeyObject> {
  const { hmacKeyCiphertext: CiphertextBlob, keyId: KeyId, encryptionContext: EncryptionContext } = options;
  const { Plaintext: key } = await kms.send(new DecryptCommand({ CiphertextBlob, KeyId, EncryptionContext }));
  try {
    if (key?.length !== HMAC_KEY_BYTES) throw new Error("the HMAC key is not 32 bytes long");
    return createSecretKey(key);
  } finally {
    key?.fill(0);
  }
}
