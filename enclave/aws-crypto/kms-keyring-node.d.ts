/** The part of @aws-crypto/kms-keyring-node that is used here; see client-node.d.ts for why it is written out. */
import type { BranchKeyStoreNode } from "@aws-crypto/branch-keystore-node";
import type { KeyringNode } from "@aws-crypto/client-node";
import type { NodeBranchKeyMaterial } from "@aws-crypto/material-management";

export interface BranchKeyMaterialEntry {
  readonly response: NodeBranchKeyMaterial;
  /** Milliseconds since 1970; the keyring compares them with its wall clock. */
  readonly now: number;
}

/** CryptographicMaterialsCache of @aws-crypto/cache-material, as far as the keyring calls it. */
export interface BranchKeyMaterialsCache {
  getBranchKeyMaterial(entryId: string): BranchKeyMaterialEntry | false;
  putBranchKeyMaterial(entryId: string, material: NodeBranchKeyMaterial, maxAgeMs?: number): void;
}

export declare class KmsHierarchicalKeyRingNode extends KeyringNode {
  constructor(options: {
    branchKeyId: string;
    keyStore: BranchKeyStoreNode;
    /** Seconds. */
    cacheLimitTtl: number;
    cache?: BranchKeyMaterialsCache;
    partitionId?: string;
    /** Whether pairs are sorted by their UTF-8 bytes, as the specification and the other languages do. */
    utf8Sorting: boolean;
  });
}
