/**
 * The records of a key store (AWS Encryption SDK specification, framework/branch-key-store.md, "Record Format"), out of the
 * JSON of DynamoDB (API_GetItem). Who hands them over is not trusted: what a record says of itself is compared with what
 * was asked for, and counts only once KMS has decrypted its key with all of it as encryption context.
 *
 * Refused: hierarchy versions but 1, beacon keys, attributes that are neither of the format nor custom pairs, another
 * identifier, version or KMS key than wanted, and records without the custom pair that names their tenant: names with its
 * prefix are in no context that a caller of the enclave chose (operations/own-contexts.ts, messages/rules.ts).
 */
import { z } from "zod";
import { fromBase64 } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import { bytesOf } from "../../../shared/wire.js";

/** Which record: `version` is a UUID, and left out for the active one. */
export interface WantedBranchKey {
  readonly branchKeyId: string;
  readonly version?: string | undefined;
}

/** A record that is what was asked for, unless whoever keeps it lies: KMS has not been asked yet. */
export interface UnverifiedBranchKeyRecord {
  readonly branchKeyId: string;
  /** UUID. */
  readonly version: string;
  /** The creation time in a form whose order as text is the order in time. */
  readonly createdAt: string;
  readonly ciphertext: Uint8Array;
  /** What its key is bound to: every attribute but the key, and the key store's logical name. */
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** What every record of one key store has in common. */
export interface KeyStoreBinding {
  readonly logicalKeyStoreName: string;
  /** Whether a key ARN is that of the configured KMS key, or of one that stands for it. */
  readonly isKmsKey: (arn: string) => boolean;
  /** The pair whose value is the tenant. */
  readonly tenantPair: string;
}

/** API_Decrypt. */
const MAX_CIPHERTEXT_BYTES = 6144;
const MAX_ATTRIBUTES = 64;
const MAX_TEXT_LENGTH = 8192;
const MAX_NAME_LENGTH = 1024;

const ID_NAME = "branch-key-id";
const ACTIVE_TYPE = "branch:ACTIVE";
const VERSION_PREFIX = "branch:version:";
/** Stands before the names of the pairs that the key's maker chose. */
const CUSTOM_PREFIX = "aws-crypto-ec:";
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** ISO 8601 in UTC; the SDKs write fractions of a second in different lengths. */
const CREATE_TIME = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z$/;

/** Whether `encryptionContext` is one of a branch key's record, or has a pair that only records have. */
export const isBranchKeyContext = (encryptionContext: Readonly<Record<string, string>>): boolean =>
  Object.keys(encryptionContext).some((name) => name === ID_NAME || name.startsWith(CUSTOM_PREFIX));

/** Whether `text` is the UUID of a version, in the form in which the SDKs write it. */
export const isBranchKeyVersion = (text: string): boolean => UUID_V4.test(text);

/** The value of a record's sort key, `type`. */
export const typeOf = ({ version }: WantedBranchKey): string =>
  version === undefined ? ACTIVE_TYPE : `${VERSION_PREFIX}${version}`;

const isCiphertext = (text: string): boolean => {
  const bytes = text.length <= 2 * MAX_CIPHERTEXT_BYTES ? fromBase64(text) : undefined;
  return bytes !== undefined && bytes.length > 0 && bytes.length <= MAX_CIPHERTEXT_BYTES;
};

const textAttribute = z.strictObject({ S: z.string().max(MAX_TEXT_LENGTH) });
const attributes = z
  .object({
    "branch-key-id": textAttribute,
    type: textAttribute,
    version: textAttribute.optional(),
    "create-time": textAttribute,
    "hierarchy-version": z.strictObject({ N: z.literal("1") }),
    "kms-arn": textAttribute,
    enc: z.strictObject({ B: z.string().refine(isCiphertext) }),
  })
  .catchall(textAttribute);

type Attributes = z.infer<typeof attributes>;
const OWN_NAMES: ReadonlySet<string> = new Set(Object.keys(attributes.shape));

/**
 * The record in `item`, a DynamoDB item in JSON.
 * @throws ServiceError ERR_BRANCH_KEY (not of the format, or not the one that is wanted), ERR_KMS_KEY (of another KMS key).
 */
export function parseBranchKeyRecord(
  item: unknown,
  wanted: WantedBranchKey,
  binding: KeyStoreBinding,
): UnverifiedBranchKeyRecord {
  const found = attributesOf(item);
  if (found["branch-key-id"].S !== wanted.branchKeyId || found.type.S !== typeOf(wanted)) {
    throw refusal("expected the record that was asked for, it is another one");
  }
  if (!binding.isKmsKey(found["kms-arn"].S)) {
    throw new ServiceError("ERR_KMS_KEY", "expected a branch key under the KMS key of the configuration");
  }
  if (found[`${CUSTOM_PREFIX}${binding.tenantPair}`]?.S !== wanted.branchKeyId) {
    throw refusal("expected a branch key whose custom pair names its tenant");
  }
  return {
    branchKeyId: wanted.branchKeyId,
    version: versionOf(found, wanted),
    createdAt: sortableTime(found["create-time"].S),
    ciphertext: bytesOf(found.enc.B),
    encryptionContext: contextOf(found, binding),
  };
}

function attributesOf(item: unknown): Attributes {
  const parsed = attributes.safeParse(item);
  if (!parsed.success) throw refusal("expected a branch key's record of hierarchy version 1");
  const names = Object.keys(parsed.data);
  const isKnown = (name: string): boolean =>
    OWN_NAMES.has(name) || (name.startsWith(CUSTOM_PREFIX) && name.length <= MAX_NAME_LENGTH);
  if (names.length <= MAX_ATTRIBUTES && names.every(isKnown)) return parsed.data;
  throw refusal("expected the attributes of a branch key's record and custom pairs only");
}

/** An active record names its version, another has it in its type alone. */
function versionOf(found: Attributes, wanted: WantedBranchKey): string {
  if (wanted.version !== undefined) {
    if (found.version === undefined) return wanted.version;
    throw refusal("expected a version's record without an active version, it has one");
  }
  const named = found.version?.S ?? "";
  const version = named.slice(VERSION_PREFIX.length);
  if (named.startsWith(VERSION_PREFIX) && isBranchKeyVersion(version)) return version;
  throw refusal("expected an active record that names its version");
}

function sortableTime(text: string): string {
  const [, seconds, fraction = ""] = CREATE_TIME.exec(text) ?? [];
  if (seconds === undefined) throw refusal("expected a creation time in UTC");
  return `${seconds}.${fraction.padEnd(9, "0")}`;
}

/** branch-key-store.md, "Encryption Context": the record's attributes as texts, and the logical name as `tablename`. */
function contextOf(found: Attributes, { logicalKeyStoreName }: KeyStoreBinding): Record<string, string> {
  const { enc: _, "hierarchy-version": hierarchyVersion, ...texts } = found;
  const pairs = Object.entries(texts).flatMap(([name, value]) => (value === undefined ? [] : [[name, value.S]]));
  return {
    ...Object.fromEntries(pairs),
    "hierarchy-version": hierarchyVersion.N,
    tablename: logicalKeyStoreName,
  };
}

const refusal = (message: string): ServiceError => new ServiceError("ERR_BRANCH_KEY", message);
