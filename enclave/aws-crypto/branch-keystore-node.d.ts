/** The part of @aws-crypto/branch-keystore-node that is used here; see client-node.d.ts for why it is written out. */
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { KMSClient } from "@aws-sdk/client-kms";

/** Where the store finds records; what it returns is the store's own class, so ours may only refuse. */
export interface BranchKeyStorage {
  getEncryptedActiveBranchKey(branchKeyId: string): Promise<never>;
  getEncryptedBranchKeyVersion(branchKeyId: string, branchKeyVersion: string): Promise<never>;
  getKeyStorageInfo(): { readonly name: string; readonly logicalName: string };
}

export declare class BranchKeyStoreNode {
  constructor(options: {
    logicalKeyStoreName: string;
    storage: BranchKeyStorage | { readonly ddbTableName: string; readonly ddbClient: DynamoDBClient };
    keyManagement?: { readonly kmsClient: KMSClient };
    kmsConfiguration: { readonly identifier: string } | { readonly mrkIdentifier: string };
  });
  /** Makes the first version, all in one transaction. @returns the id given, or a new one */
  createKey(input: {
    branchKeyIdentifier: string;
    encryptionContext: Readonly<Record<string, string>>;
  }): Promise<{ readonly branchKeyIdentifier: string }>;
  /** Makes a new version the active one. */
  versionKey(input: { branchKeyIdentifier: string }): Promise<void>;
}
