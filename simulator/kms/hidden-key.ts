/**
 * What stands for a key of another account that is not there. Nobody may do anything with it, and so a call that names it is
 * refused as one that names a key which its caller has no access to: whether there is one, callers do not learn.
 */
import type { KeyPolicy } from "../iam/policy/compile.js";
import type { KmsKey } from "./key.js";

/** A key policy that has no say. */
export const SILENT_POLICY: KeyPolicy = { text: "", name: undefined, statements: [], evaluate: () => "silent" };

/** `arn` as the request has it, of a key or of an alias. */
export const hiddenKey = (arn: string, accountId: string): KmsKey => ({
  ...{ arn, accountId, keyId: "", creationDate: new Date(0), description: "" },
  ...{ keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT", origin: "AWS_KMS", state: "Enabled" },
  ...{ materials: [], tags: new Map(), policy: SILENT_POLICY },
});
