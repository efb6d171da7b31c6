/** The part of @aws-crypto/material-management that is used here; see client-node.d.ts for why it is written out. */

/** A plaintext branch key: a copy of what it is made of, which `zeroUnencryptedDataKey` overwrites. */
export declare class NodeBranchKeyMaterial {
  /** @param branchKey 32 bytes. @param branchKeyVersion a UUID of version 4. @throws Error otherwise */
  constructor(
    branchKey: Buffer,
    branchKeyIdentifier: string,
    branchKeyVersion: string,
    encryptionContext: Readonly<Record<string, string>>,
  );
  readonly branchKeyIdentifier: string;
  /** UTF-8 of the UUID's text. */
  readonly branchKeyVersion: Buffer;
  /** The bytes themselves. */
  branchKey(): Buffer;
  zeroUnencryptedDataKey(): NodeBranchKeyMaterial;
}
