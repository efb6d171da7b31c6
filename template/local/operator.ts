/**
 * What the owner of the data does, with the ordinary AWS SDK and nothing of enclaves: makes a KMS key, encrypts under it,
 * and says in its policy which enclave may decrypt. It cannot decrypt itself.
 */
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import type { DataKeyPairSpec, KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyPairWithoutPlaintextCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import type { Settings } from "../settings.js";

type Context = Record<string, string>;
/** Hexadecimal PCR values that an enclave must have: the image (0, 1, 2) and its configuration (16). */
export type Pins = Readonly<Record<0 | 1 | 2 | 16, string>>;

/** Further conditions of a key policy. */
export type Conditions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Release {
  readonly roleArn: string;
  readonly pins: Pins;
  readonly conditions?: Conditions | undefined;
}

const OPERATOR_ACTIONS = [
  ...["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:Encrypt", "kms:GenerateDataKey"],
  ...["kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKeyPairWithoutPlaintext"],
];

export class Operator {
  readonly #client: KMSClient;
  readonly #accountId: string;
  readonly keyArn: string;

  constructor(client: KMSClient, accountId: string, keyArn: string) {
    this.#client = client;
    this.#accountId = accountId;
    this.keyArn = keyArn;
  }

  /** With a key that encrypts, and that nobody can decrypt with before `release`. */
  static async create(client: KMSClient, accountId: string): Promise<Operator> {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ Policy: keyPolicy(accountId) }));
    return new Operator(client, accountId, present(KeyMetadata?.Arn));
  }

  /** Lets enclaves decrypt that have these measurements, started by an instance with this role; and no others. */
  async release(release: Release): Promise<void> {
    const Policy = keyPolicy(this.#accountId, release);
    await this.#client.send(new PutKeyPolicyCommand({ KeyId: this.keyArn, Policy }));
  }

  async encrypt(plaintext: Uint8Array, EncryptionContext: Context): Promise<Uint8Array> {
    const command = new EncryptCommand({ KeyId: this.keyArn, Plaintext: plaintext, EncryptionContext });
    return present((await this.#client.send(command)).CiphertextBlob);
  }

  /** Refused by the key's policy. */
  async decrypt(ciphertext: Uint8Array, EncryptionContext: Context): Promise<Uint8Array> {
    const command = new DecryptCommand({ KeyId: this.keyArn, CiphertextBlob: ciphertext, EncryptionContext });
    return present((await this.#client.send(command)).Plaintext);
  }

  /** An AWS Encryption SDK message, for what is longer than the 4096 bytes of KMS Encrypt. */
  async encryptMessage(plaintext: Uint8Array, encryptionContext: Context): Promise<Uint8Array> {
    const client = this.#client;
    const keyring = new KmsKeyringNode({
      generatorKeyId: this.keyArn,
      clientProvider: () => ({
        generateDataKey: (request) => client.send(new GenerateDataKeyCommand(request)),
        encrypt: (request) => client.send(new EncryptCommand(request)),
        decrypt: (request) => client.send(new DecryptCommand(request)),
      }),
    });
    const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
    const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
    return (await sdk.encrypt(keyring, plaintext, { encryptionContext })).result;
  }

  /** A pair for sign-digest. Its private half leaves KMS encrypted: nobody but an enclave ever has it. */
  async makeSigningKey(KeyPairSpec: DataKeyPairSpec, EncryptionContext: Context) {
    const request = { KeyId: this.keyArn, KeyPairSpec, EncryptionContext };
    const answer = await this.#client.send(new GenerateDataKeyPairWithoutPlaintextCommand(request));
    return { ciphertext: present(answer.PrivateKeyCiphertextBlob), publicKey: present(answer.PublicKey) };
  }

  /** settings.json, with an HMAC key that nobody but an enclave ever has. */
  async makeSettings(): Promise<Uint8Array> {
    const encryptionContext = { purpose: "card-token-key" };
    const request = { KeyId: this.keyArn, KeySpec: "AES_256", EncryptionContext: encryptionContext } as const;
    const { CiphertextBlob } = await this.#client.send(new GenerateDataKeyWithoutPlaintextCommand(request));
    const hmacKeyCiphertext = Buffer.from(present(CiphertextBlob)).toString("base64");
    const settings: Settings = { cardToken: { hmacKeyCiphertext, keyId: this.keyArn, encryptionContext } };
    return Buffer.from(JSON.stringify(settings));
  }
}

/** Every PCR is a condition of its own: all of them must hold. */
function keyPolicy(accountId: string, release?: Release): string {
  const operator = { AWS: `arn:aws:iam::${accountId}:root` };
  const encrypt = { Effect: "Allow", Principal: operator, Action: OPERATOR_ACTIONS, Resource: "*" };
  const Statement = release === undefined ? [encrypt] : [encrypt, decryptStatement(release)];
  return JSON.stringify({ Version: "2012-10-17", Statement });
}

function decryptStatement({ roleArn, pins, conditions = {} }: Release) {
  const pcrs = Object.entries(pins).map(([index, value]) => [`kms:RecipientAttestation:PCR${index}`, value]);
  return {
    Effect: "Allow",
    Principal: { AWS: roleArn },
    Action: "kms:Decrypt",
    Resource: "*",
    Condition: { ...conditions, StringEqualsIgnoreCase: Object.fromEntries(pcrs) },
  };
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("KMS left out a part of its answer");
  return value;
}
