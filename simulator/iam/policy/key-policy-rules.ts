/** What KMS refuses in a key policy beyond the grammar (KMS Developer Guide, "Key policies", "AWS KMS condition keys"). */
import { AwsError, malformedPolicy } from "../../errors.js";
import type { Statement } from "./document.js";
import { foldedKey } from "./values.js";

/** "Resource quotas", "Key policy document size". */
const MAX_BYTES = 32_768;

/** @throws AwsError LimitExceededException */
export function assertKeyPolicySize(text: string): void {
  if (Buffer.byteLength(text) > MAX_BYTES) {
    throw new AwsError("LimitExceededException", `The key policy exceeds ${MAX_BYTES} bytes.`);
  }
}

/** Keys with one value each, for which ForAllValues would hold in every request without them. */
const SINGLE_VALUED = [
  { prefix: "kms:encryptioncontext:", name: "OverlyPermissiveCondition:EncryptionContext", of: "encryption context" },
  { prefix: "aws:requesttag/", name: "OverlyPermissiveCondition", of: "tag" },
];

/** "Using set operators with condition keys". @throws AwsError MalformedPolicyDocumentException */
export function assertNotOverlyPermissive({ Condition = {} }: Statement): void {
  const keys = Object.entries(Condition).flatMap(([operator, block]) =>
    operator.startsWith("ForAllValues:") ? Object.keys(block) : [],
  );
  for (const { prefix, name, of } of SINGLE_VALUED) {
    if (!keys.some((key) => foldedKey(key).startsWith(prefix))) continue;
    throw malformedPolicy(
      `${name}: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified ${of} or with an unspecified ${of}. To fix, remove ForAllValues.`,
    );
  }
}
