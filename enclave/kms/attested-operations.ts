/**
 * The five KMS operations that take `Recipient` (KMS API Reference: Decrypt, DeriveSharedSecret, GenerateDataKey,
 * GenerateDataKeyPair, GenerateRandom), and what each must answer. Called by attest-kms.ts only.
 */
import { createPrivateKey } from "node:crypto";

/** The request fields of KMS that matter here. The SDK types a client's middleware by the union of all its commands. */
export interface KmsRequestFields {
  readonly KeyId?: string | undefined;
  readonly SourceKeyId?: string | undefined;
  readonly DestinationKeyId?: string | undefined;
  readonly Recipient?: unknown;
  readonly KeySpec?: string | undefined;
  readonly NumberOfBytes?: number | undefined;
}

/** Likewise of the answers. */
export interface KmsAnswerFields {
  readonly KeyId?: string | undefined;
  readonly Plaintext?: Uint8Array | undefined;
  readonly PrivateKeyPlaintext?: Uint8Array | undefined;
  readonly SharedSecret?: Uint8Array | undefined;
  readonly CiphertextForRecipient?: Uint8Array | undefined;
}

export interface AttestedOperation {
  /** Where KMS puts the plaintext for those who bring no Recipient. */
  readonly plaintextField: "Plaintext" | "PrivateKeyPlaintext" | "SharedSecret";
  /** Whether the operation works with a key, and the answer therefore names it. */
  readonly hasKey: boolean;
  /** Whether what was opened can be the answer to `request`. */
  readonly isAnswer: (plaintext: Uint8Array, request: KmsRequestFields) => boolean;
}

/** By the SDK's names of the commands. */
const OPERATIONS: Readonly<Record<string, AttestedOperation>> = {
  DecryptCommand: { plaintextField: "Plaintext", hasKey: true, isAnswer: isNotEmpty },
  DeriveSharedSecretCommand: { plaintextField: "SharedSecret", hasKey: true, isAnswer: isNotEmpty },
  GenerateDataKeyCommand: { plaintextField: "Plaintext", hasKey: true, isAnswer: hasLengthOfDataKey },
  GenerateDataKeyPairCommand: { plaintextField: "PrivateKeyPlaintext", hasKey: true, isAnswer: isPkcs8 },
  GenerateRandomCommand: {
    plaintextField: "Plaintext",
    hasKey: false,
    isAnswer: (plaintext, { NumberOfBytes }) => plaintext.length === NumberOfBytes,
  },
};

/** The operation behind a command, or undefined if it takes no Recipient. */
export function attestedOperation(commandName: string | undefined): AttestedOperation | undefined {
  // Without a name nothing could be enforced, and the command would go out unattested.
  if (commandName === undefined) throw new TypeError("attestKms: the SDK gave the command no name");
  return Object.hasOwn(OPERATIONS, commandName) ? OPERATIONS[commandName] : undefined;
}

function isNotEmpty(plaintext: Uint8Array): boolean {
  return plaintext.length > 0;
}

const DATA_KEY_BYTES: Readonly<Record<string, number>> = { AES_128: 16, AES_256: 32 };

function hasLengthOfDataKey(plaintext: Uint8Array, { KeySpec, NumberOfBytes }: KmsRequestFields): boolean {
  return plaintext.length === (NumberOfBytes ?? DATA_KEY_BYTES[KeySpec ?? ""]);
}

/** The private key comes as PKCS#8 DER (API_GenerateDataKeyPair). */
function isPkcs8(plaintext: Uint8Array): boolean {
  try {
    const key = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length); // a view, not another copy
    return createPrivateKey({ key, format: "der", type: "pkcs8" }).type === "private";
  } catch {
    return false; // not a private key; which part of it is wrong says something about a secret
  }
}
