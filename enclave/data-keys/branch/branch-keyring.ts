/**
 * The official hierarchical keyring over one branch key that is in hand. The keyring has a cache, ages by the wall clock
 * and a key store of its own; here its cache is that one key, whose age is branch-keys.ts's concern, and its store refuses:
 * records are read, and keys opened, by branch-keys.ts alone.
 */
import { BranchKeyStoreNode } from "@aws-crypto/branch-keystore-node";
import type { BranchKeyMaterialsCache } from "@aws-crypto/kms-keyring-node";
import { KmsHierarchicalKeyRingNode } from "@aws-crypto/kms-keyring-node";
import type { NodeBranchKeyMaterial } from "@aws-crypto/material-management";

/** The provider id of the keyring in encrypted data keys; the provider information is the branch key's id. */
export const HIERARCHY_PROVIDER_ID = "aws-kms-hierarchy";

export interface Keyrings {
  /** A keyring that wraps and unwraps with `branchKey`, as long as that is not overwritten. */
  over(branchKey: NodeBranchKeyMaterial, partition: string): KmsHierarchicalKeyRingNode;
}

/** Keyrings for the branch keys of one key store. */
export function createKeyrings({ logicalName, kmsArn }: { logicalName: string; kmsArn: string }): Keyrings {
  const keyStore = new BranchKeyStoreNode({
    logicalKeyStoreName: logicalName,
    storage: {
      getEncryptedActiveBranchKey: isNotAsked,
      getEncryptedBranchKeyVersion: isNotAsked,
      getKeyStorageInfo: () => ({ name: logicalName, logicalName }),
    },
    kmsConfiguration: { identifier: kmsArn },
  });
  return {
    over: (branchKey, partitionId) =>
      new KmsHierarchicalKeyRingNode({
        branchKeyId: branchKey.branchKeyIdentifier,
        keyStore,
        cacheLimitTtl: 0,
        cache: cacheOf(branchKey),
        partitionId,
        utf8Sorting: true, // by UTF-16, its default, other languages could not open some messages
      }),
  };
}

/** `now` is compared with the wall clock, which the parent sets: this key is never too old for the keyring. */
const cacheOf = (branchKey: NodeBranchKeyMaterial): BranchKeyMaterialsCache => ({
  getBranchKeyMaterial: () => ({ response: branchKey, now: Number.POSITIVE_INFINITY }),
  putBranchKeyMaterial: isNotAsked,
});

const isNotAsked = (): never => {
  throw new TypeError("branch-keyring: the keyring has its key already");
};
