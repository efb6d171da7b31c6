/**
 * The part of @aws-crypto/client-node that is used here: its own types do not compile under exactOptionalPropertyTypes.
 * `KmsKeyringNode` and FORBID_ENCRYPT_ALLOW_DECRYPT are for tests and tools.
 */
import type { Duplex } from "node:stream";

export interface EncryptedDataKey {
  readonly providerId: string;
  readonly providerInfo: string;
  readonly encryptedDataKey: Uint8Array;
}

export type EncryptionContext = Readonly<Record<string, string>>;

export declare class NodeAlgorithmSuite {
  constructor(id: number);
  readonly id: number;
  /** Whether materials of this suite may be used for more than one message. */
  readonly cacheSafe: boolean;
}

/** What a message's header says, before anything about it has been verified. */
export interface DecryptionRequest {
  readonly suite: NodeAlgorithmSuite;
  readonly encryptionContext: EncryptionContext;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
}

/** What a new message is to be like. */
export interface EncryptionRequest {
  readonly suite?: NodeAlgorithmSuite;
  readonly encryptionContext: EncryptionContext;
  /** Bytes; absent for a stream. */
  readonly plaintextLength?: number;
  readonly commitmentPolicy: string;
}

interface NodeMaterial {
  readonly suite: NodeAlgorithmSuite;
  readonly encryptionContext: EncryptionContext;
  readonly hasUnencryptedDataKey: boolean;
  /** Overwrites the data key. */
  zeroUnencryptedDataKey(): unknown;
}

export declare class NodeDecryptionMaterial implements NodeMaterial {
  private readonly brand: "NodeDecryptionMaterial";
  readonly suite: NodeAlgorithmSuite;
  readonly encryptionContext: EncryptionContext;
  readonly hasUnencryptedDataKey: boolean;
  zeroUnencryptedDataKey(): unknown;
}

export declare class NodeEncryptionMaterial implements NodeMaterial {
  private readonly brand: "NodeEncryptionMaterial";
  readonly suite: NodeAlgorithmSuite;
  readonly encryptionContext: EncryptionContext;
  readonly hasUnencryptedDataKey: boolean;
  readonly encryptedDataKeys: readonly EncryptedDataKey[];
  zeroUnencryptedDataKey(): unknown;
}

export interface NodeMaterialsManager {
  getEncryptionMaterials(request: EncryptionRequest): Promise<NodeEncryptionMaterial>;
  decryptMaterials(request: DecryptionRequest): Promise<NodeDecryptionMaterial>;
}

export declare abstract class KeyringNode {
  private readonly brand: "KeyringNode";
}

export declare class NodeDefaultCryptographicMaterialsManager implements NodeMaterialsManager {
  constructor(keyring: KeyringNode);
  getEncryptionMaterials(request: EncryptionRequest): Promise<NodeEncryptionMaterial>;
  decryptMaterials(request: DecryptionRequest): Promise<NodeDecryptionMaterial>;
}

/** One entry of a cache; the caching manager compares the counts with its limits. */
export interface CacheEntry<Material> {
  readonly response: Material;
  /** When it was put there, in milliseconds since 1970 by the wall clock. */
  readonly now: number;
  messagesEncrypted: number;
  bytesEncrypted: number;
}

/** Where a caching manager keeps materials. `false` where there is no entry. */
export interface CryptographicMaterialsCache {
  putEncryptionMaterial(key: string, material: NodeEncryptionMaterial, plaintextLength: number, maxAge?: number): void;
  putDecryptionMaterial(key: string, material: NodeDecryptionMaterial, maxAge?: number): void;
  putBranchKeyMaterial(key: string, material: unknown, maxAge?: number): void;
  getEncryptionMaterial(key: string, plaintextLength: number): CacheEntry<NodeEncryptionMaterial> | false;
  getDecryptionMaterial(key: string): CacheEntry<NodeDecryptionMaterial> | false;
  getBranchKeyMaterial(key: string): { readonly response: unknown; readonly now: number } | false;
  del(key: string): void;
}

export declare class NodeCachingMaterialsManager implements NodeMaterialsManager {
  constructor(options: {
    cache: CryptographicMaterialsCache;
    backingMaterials: NodeMaterialsManager;
    partition: string;
    /** Milliseconds. */
    maxAge: number;
    maxBytesEncrypted: number;
    maxMessagesEncrypted: number;
  });
  getEncryptionMaterials(request: EncryptionRequest): Promise<NodeEncryptionMaterial>;
  decryptMaterials(request: DecryptionRequest): Promise<NodeDecryptionMaterial>;
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

/** For one key; what is under a related multi-Region key it opens as well. */
export declare class AwsKmsMrkAwareSymmetricKeyringNode extends KeyringNode {
  constructor(options: { client: AwsEsdkKMSInterface; keyId: string });
}

export declare class MultiKeyringNode extends KeyringNode {
  constructor(options: { generator?: KeyringNode; children: KeyringNode[] });
}

export declare const CommitmentPolicy: {
  readonly REQUIRE_ENCRYPT_REQUIRE_DECRYPT: "REQUIRE_ENCRYPT_REQUIRE_DECRYPT";
  readonly FORBID_ENCRYPT_ALLOW_DECRYPT: "FORBID_ENCRYPT_ALLOW_DECRYPT";
};

/** Wraps data keys under an AES key in memory: for tests. */
export declare class RawAesKeyringNode extends KeyringNode {
  constructor(options: {
    keyNamespace: string;
    keyName: string;
    unencryptedMasterKey: Uint8Array;
    wrappingSuite: number;
    /** Whether the pairs that it authenticates are sorted as in the header, or by UTF-16 code units. */
    utf8Sorting: boolean;
  });
}

export interface MessageHeader {
  readonly encryptionContext: EncryptionContext;
}

export interface EncryptOptions {
  encryptionContext?: EncryptionContext;
  suiteId?: number;
  frameLength?: number;
}

export declare function buildClient(options: {
  commitmentPolicy: "REQUIRE_ENCRYPT_REQUIRE_DECRYPT" | "FORBID_ENCRYPT_ALLOW_DECRYPT";
  maxEncryptedDataKeys: number;
}): {
  encrypt(
    materials: KeyringNode | NodeMaterialsManager,
    plaintext: Uint8Array,
    options?: EncryptOptions,
  ): Promise<{ readonly result: Uint8Array; readonly messageHeader: MessageHeader }>;
  /** Emits "MessageHeader" when it has the data key. */
  encryptStream(materials: KeyringNode | NodeMaterialsManager, options?: EncryptOptions): Duplex;
  decrypt(
    materials: KeyringNode | NodeMaterialsManager,
    message: Uint8Array,
  ): Promise<{ readonly plaintext: Uint8Array; readonly messageHeader: MessageHeader }>;
  /** Emits "MessageHeader" when the header has been authenticated. `maxBodySize` bounds frames. */
  decryptStream(materials: KeyringNode | NodeMaterialsManager, options: { maxBodySize: number }): Duplex;
};
