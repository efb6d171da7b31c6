/** A KMS in memory, as data keys see one: it wraps keys, says what was asked of it, and waits or refuses when a test wants that. */
import { randomBytes } from "node:crypto";
import type { DecryptionRequest, EncryptionRequest, NodeEncryptionMaterial } from "@aws-crypto/client-node";
import { CommitmentPolicy, NodeAlgorithmSuite } from "@aws-crypto/client-node";
import type { DataKeyKms, DataKeyUse } from "../../../enclave/data-keys/source.js";
import { toHex } from "../../../shared/bytes.js";
import { SUITE } from "../esdk.js";
import { KEY_ARN, testKeys } from "../fakes.js";

export class TableKms {
  readonly calls: string[] = [];
  /** Plaintext data keys as they were handed out: whoever takes one has to overwrite it. */
  readonly handedOut: Uint8Array[] = [];
  /** What every call waits for, and throws what it throws. */
  before: () => Promise<void> = async () => undefined;
  readonly #wrapped = new Map<string, Uint8Array>();

  readonly kms: DataKeyKms = {
    generateDataKey: async ({ KeyId, NumberOfBytes = 32 }) => {
      await this.#asked(`GenerateDataKey ${KeyId}`);
      const key = new Uint8Array(randomBytes(NumberOfBytes));
      return { KeyId, Plaintext: this.#hand(key), CiphertextBlob: this.#wrap(key) };
    },
    encrypt: async ({ KeyId, Plaintext }) => {
      const key = new Uint8Array(Plaintext);
      await this.#asked(`Encrypt ${KeyId}`);
      return { KeyId, CiphertextBlob: this.#wrap(key) };
    },
    decrypt: async ({ KeyId, CiphertextBlob }) => {
      await this.#asked(`Decrypt ${KeyId}`);
      const key = this.#wrapped.get(toHex(CiphertextBlob));
      if (key === undefined) throw new TypeError("TableKms: not a data key of this table");
      return { KeyId, Plaintext: this.#hand(new Uint8Array(key)) };
    },
  };

  async #asked(call: string): Promise<void> {
    this.calls.push(call);
    await this.before();
  }

  #hand(key: Uint8Array): Uint8Array {
    this.handedOut.push(key);
    return key;
  }

  #wrap(key: Uint8Array): Uint8Array {
    const blob = new Uint8Array(randomBytes(48));
    this.#wrapped.set(toHex(blob), new Uint8Array(key));
    return blob;
  }
}

export const useOf = ({ kms }: TableKms, changes: Partial<DataKeyUse> = {}): DataKeyUse => ({
  keys: [testKeys().resolve(KEY_ARN)],
  partition: "tenant a",
  kms,
  ...changes,
});

export const toEncrypt = (changes: Partial<EncryptionRequest> = {}): EncryptionRequest => ({
  suite: new NodeAlgorithmSuite(SUITE.committed),
  encryptionContext: { tenant: "a" },
  plaintextLength: 100,
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  ...changes,
});

/** What opening a message of these materials asks for. */
export const toDecrypt = (
  { suite, encryptionContext, encryptedDataKeys }: NodeEncryptionMaterial,
  changes: Partial<DecryptionRequest> = {},
): DecryptionRequest => ({ suite, encryptionContext, encryptedDataKeys, ...changes });
