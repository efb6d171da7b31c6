/** AWS Encryption SDK messages made by the SDK itself, over a KMS that is a table of data keys. */
import { randomBytes } from "node:crypto";
import type { AwsEsdkKMSInterface } from "@aws-crypto/client-node";
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import { fromBase64, toHex } from "../../shared/bytes.js";
import type { Json, KmsCall, TestRecipient } from "./fakes.js";
import { KEY_ARN } from "./fakes.js";

/** The suites that tests ask for by number (AWS Encryption SDK, algorithms reference). */
export const SUITE = { committed: 0x0478, committedSigned: 0x0578, uncommitted: 0x0178 } as const;

interface DataKey {
  readonly keyId: string;
  readonly plaintext: Uint8Array;
  readonly context: Readonly<Record<string, string>>;
}

export interface MessageOptions {
  readonly keyIds?: readonly string[];
  readonly context?: Readonly<Record<string, string>>;
  readonly suite?: number;
}

export class EsdkTable {
  readonly #dataKeys = new Map<string, DataKey>();

  /** A message by the SDK's own `encrypt`. */
  async message(plaintext: Uint8Array, options: MessageOptions = {}): Promise<Uint8Array> {
    const { keyIds: [generatorKeyId = KEY_ARN, ...keyIds] = [], context = {}, suite = SUITE.committed } = options;
    const uncommitted = suite === SUITE.uncommitted;
    const commitmentPolicy = uncommitted
      ? CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
      : CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
    const keyring = new KmsKeyringNode({ clientProvider: () => this.#kms, generatorKeyId, keyIds });
    const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 10 });
    const { result } = await sdk.encrypt(keyring, plaintext, {
      encryptionContext: context,
      suiteId: suite,
      frameLength: 64,
    });
    return new Uint8Array(result);
  }

  /** What KMS answers to Decrypt of one of the messages' data keys. */
  answer(recipient: TestRecipient, { operation, body }: KmsCall): Json {
    if (operation !== "Decrypt") throw new TypeError(`EsdkTable: ${operation} was not expected`);
    const dataKey = this.#dataKeys.get(toHex(fromBase64(String(body.CiphertextBlob)) ?? new Uint8Array()));
    const sameContext = canonical(body.EncryptionContext ?? {}) === canonical(dataKey?.context ?? {});
    if (dataKey === undefined || !sameContext) return { $status: 400, __type: "InvalidCiphertextException" };
    return { KeyId: dataKey.keyId, CiphertextForRecipient: recipient.seal(dataKey.plaintext) };
  }

  readonly #kms: AwsEsdkKMSInterface = {
    generateDataKey: async ({ KeyId, NumberOfBytes = 32, EncryptionContext = {} }) => {
      const plaintext = new Uint8Array(randomBytes(NumberOfBytes));
      return { KeyId, Plaintext: plaintext, CiphertextBlob: this.#wrap(KeyId, plaintext, EncryptionContext) };
    },
    encrypt: async ({ KeyId, Plaintext, EncryptionContext = {} }) => ({
      KeyId,
      CiphertextBlob: this.#wrap(KeyId, Plaintext, EncryptionContext),
    }),
    decrypt: async () => ({}),
  };

  #wrap(keyId: string, plaintext: Uint8Array, context: Readonly<Record<string, string>>): Uint8Array {
    const blob = new Uint8Array(randomBytes(48));
    this.#dataKeys.set(toHex(blob), { keyId, plaintext: new Uint8Array(plaintext), context });
    return blob;
  }
}

/** KMS takes no notice of the order of pairs. */
const canonical = (context: object): string => JSON.stringify(Object.entries(context).sort());
