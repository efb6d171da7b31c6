/**
 * The keys that a message is under, by name, and what a rollover makes of them: which are old, and which is the new one.
 * A KMS key is named by the ARN in the message's header, a branch key as `branch-key/ID`. Related multi-Region keys have
 * the same key material (KMS Developer Guide, "Multi-Region keys"), so they count as one.
 */
import type { EncryptedDataKey } from "../../shared/esdk/encrypted-data-keys.js";
import { providerText } from "../../shared/esdk/encrypted-data-keys.js";
import type { MessageHeader } from "../../shared/esdk/header.js";

/** Providers of data keys: the KMS keyrings, and the AWS KMS hierarchical keyring (AWS Encryption SDK, "Keyrings"). */
const KMS_PROVIDER = "aws-kms";
const BRANCH_KEY_PROVIDER = "aws-kms-hierarchy";
const BRANCH_KEY = "branch-key/";

/** What new messages are under: a KMS key, or the branch keys of their tenants. */
export type Target = { readonly kind: "key"; readonly arn: string } | { readonly kind: "branchKeys" };

export interface Rollover {
  /** Names of the old keys. */
  readonly from: readonly string[];
  readonly to: Target;
}

/** The names of the keys that open a message, each once, in the order of its header. */
export const keyNamesOf = ({ encryptedDataKeys }: Pick<MessageHeader, "encryptedDataKeys">): readonly string[] => [
  ...new Set(encryptedDataKeys.map(keyNameOf)),
];

function keyNameOf(key: EncryptedDataKey): string {
  const text = providerText(key);
  if (key.providerId === KMS_PROVIDER) return text ?? "aws-kms, a key without a name";
  if (key.providerId === BRANCH_KEY_PROVIDER) return `${BRANCH_KEY}${text ?? ""}`;
  return `a key of the provider ${key.providerId}`;
}

const MULTI_REGION_ARN = /^arn:([a-z-]+):kms:[a-z0-9-]+:(\d{12}):key\/(mrk-[0-9a-f]{32})$/;

/** Whether two names mean one key material. */
export function isSameKey(a: string, b: string): boolean {
  return a === b || (relationOf(a) !== undefined && relationOf(a) === relationOf(b));
}

/** What related multi-Region keys have in common. */
const relationOf = (name: string): string | undefined => MULTI_REGION_ARN.exec(name)?.slice(1).join(" ");

export const isOld = (name: string, { from }: Rollover): boolean => from.some((old) => isSameKey(old, name));

/** Whether `name` is what the rollover leads to. Of a KMS key it is this Region's, and no related one. */
export const isNew = (name: string, { to }: Rollover): boolean =>
  to.kind === "key" ? name === to.arn : name.startsWith(BRANCH_KEY);

/** `done`: under the new key alone. `toDo`: under an old one. `other`: the rollover is not about it. */
export type MessageState = "done" | "toDo" | "other";

export function stateOf(names: readonly string[], rollover: Rollover): MessageState {
  if (names.every((name) => isNew(name, rollover))) return "done";
  return names.some((name) => isOld(name, rollover)) ? "toDo" : "other";
}

/** A name of an old key as an option gives it: a key ARN, an alias ARN as it may stand in a header, or a branch key. */
export const isKeyName = (text: string): boolean =>
  /^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:(?:key|alias)\/[A-Za-z0-9/_-]{1,256}$/.test(text) ||
  (text.startsWith(BRANCH_KEY) && text.length > BRANCH_KEY.length && text.length <= 1_024);
