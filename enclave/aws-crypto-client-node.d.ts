/**
 * The part of @aws-crypto/client-node that is used here: its own types do not compile under exactOptionalPropertyTypes.
 * The client's `encrypt` is for tests and tools.
 */
import type { Duplex } from "node:stream";

export interface EncryptedDataKey {
  readonly providerId: string;
  readonly providerInfo: string;
  readonly encryptedDataKey: Uint8Array;
}

export type EncryptionContext = Readonly<Record<string, string>>;

/** What a message's header says, before anything about it has been verified. */
export interface DecryptionRequest {
  readonly suite: unknown;
  readonly encryptionContext: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
}

export interface NodeMaterialsManager {
  getEncryptionMaterials(request: unknown): Promise<unknown>;
  decryptMaterials(request: DecryptionRequest): Promise<unknown>;
}

export declare abstract class KeyringNode {
  private readonly brand: "KeyringNode";
}

export declare class NodeDefaultCryptographicMaterialsManager implements NodeMaterialsManager {
  constructor(keyring: KeyringNode);
  getEncryptionMaterials(request: unknown): Promise<unknown>;
  decryptMaterials(request: DecryptionRequest): Promise<unknown>;
}

export interface KmsDecryptRequest {
  KeyId?: string;
  CiphertextBlob: Uint8Array;
  EncryptionContext?: Record<string, string>;
  GrantTokens?: string[];
}

export interface KmsGenerateDataKeyRequest {
  KeyId: string;
  EncryptionContext?: Record<string, string>;
  NumberOfBytes?: number;
  GrantTokens?: string[];
}

export interface KmsEncryptRequest {
  KeyId: string;
  Plaintext: Uint8Array;
  EncryptionContext?: Record<string, string>;
  GrantTokens?: string[];
}

/** The three KMS operations of the keyring. It overwrites `Plaintext` when it has taken it. */
export interface AwsEsdkKMSInterface {
  decrypt(request: KmsDecryptRequest): Promise<{ KeyId?: string | undefined; Plaintext?: Uint8Array | undefined }>;
  encrypt(request: KmsEncryptRequest): Promise<{ KeyId?: string | undefined; CiphertextBlob?: Uint8Array | undefined }>;
  generateDataKey(request: KmsGenerateDataKeyRequest): Promise<{
    KeyId?: string | undefined;
    CiphertextBlob?: Uint8Array | undefined;
    Plaintext?: Uint8Array | undefined;
  }>;
}

export declare class KmsKeyringNode extends KeyringNode {
  constructor(options: {
    clientProvider: (region: string) => AwsEsdkKMSInterface | false;
    keyIds?: string[];
    generatorKeyId?: string;
  });
}

export declare const CommitmentPolicy: {
  readonly REQUIRE_ENCRYPT_REQUIRE_DECRYPT: "REQUIRE_ENCRYPT_REQUIRE_DECRYPT";
  readonly FORBID_ENCRYPT_ALLOW_DECRYPT: "FORBID_ENCRYPT_ALLOW_DECRYPT";
};

export interface MessageHeader {
  readonly encryptionContext: EncryptionContext;
}

export declare function buildClient(options: {
  commitmentPolicy: "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" | "FORBID_ENCRYPT_ALLOW_DECRYPT";
  maxEncryptedDataKeys: number;
}): {
  encrypt(
    keyring: KeyringNode,
    plaintext: Uint8Array,
    options?: { encryptionContext?: EncryptionContext; suiteId?: number; frameLength?: number },
  ): Promise<{ readonly result: Uint8Array; readonly messageHeader: MessageHeader }>;
  decrypt(
    materials: KeyringNode | NodeMaterialsManager,
    message: Uint8Array,
  ): Promise<{ readonly plaintext: Uint8Array; readonly messageHeader: MessageHeader }>;
  /** Emits "MessageHeader" when the header has been authenticated. `maxBodySize` bounds frames. */
  decryptStream(materials: KeyringNode | NodeMaterialsManager, options: { maxBodySize: number }): Duplex;
};
