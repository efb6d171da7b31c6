/**
 * Audit records: one per call, in CloudTrail's own field set (CloudTrail User Guide, "CloudTrail record contents";
 * KMS Developer Guide, "Logging AWS KMS API calls"), refused calls included. A byte string is never recorded, whatever
 * its name: plaintexts, ciphertexts, documents and keys are all byte strings.
 */
import { randomUUID } from "node:crypto";
import { toHex } from "../../shared/bytes.js";
import type { AwsError } from "../errors.js";
import type { Resource } from "../iam/authorization.js";
import type { IssuedKey } from "../iam/principals.js";
import type { CallTrace } from "../kms/operation.js";
import type { AttestedRecipient } from "../kms/recipient.js";
import { isNitroTpm } from "../kms/recipient.js";

/** One CloudTrail record; the members that this simulator fills. */
export interface AuditRecord {
  readonly eventVersion: "1.11";
  readonly userIdentity: Readonly<Record<string, unknown>>;
  /** ISO 8601 in seconds. */
  readonly eventTime: string;
  /** The service that was called, for example `kms.amazonaws.com`. */
  readonly eventSource: string;
  readonly eventName: string;
  readonly awsRegion: string;
  readonly sourceIPAddress: string;
  readonly userAgent: string;
  readonly errorCode?: string;
  readonly errorMessage?: string;
  readonly requestParameters: Readonly<Record<string, unknown>> | null;
  /** What a call that changes something answered; null for every other. */
  readonly responseElements: Readonly<Record<string, unknown>> | null;
  /** `recipient`: what the attestation document says, for calls that carried a verified one. */
  readonly additionalEventData?: { readonly recipient: Readonly<Record<string, string>> };
  readonly requestID: string;
  readonly eventID: string;
  readonly readOnly: boolean;
  readonly resources: readonly { readonly accountId: string; readonly type: string; readonly ARN: string }[];
  readonly eventType: "AwsApiCall";
  readonly managementEvent: true;
  readonly recipientAccountId: string;
  readonly eventCategory: "Management";
}

/** What is known of a call when it has ended. */
export interface FinishedCall {
  /** `kms.amazonaws.com` if left out. */
  readonly eventSource?: string;
  readonly eventName: string;
  readonly readOnly: boolean;
  readonly requestId: string;
  readonly now: Date;
  readonly sourceIp: string;
  readonly userAgent: string;
  /** Who signed, and for which Region; undefined if the signature did not verify. */
  readonly key?: IssuedKey;
  readonly region?: string;
  readonly trace: CallTrace;
  readonly error: AwsError | undefined;
}

/** Whose log it is: calls that nobody can be held to are recorded here. */
export interface Home {
  readonly region: string;
  readonly accountId: string;
}

/** The record of a call. */
export function recordOf(call: FinishedCall, home: Home): AuditRecord {
  const { error, key, trace } = call;
  const recipient = trace.recipient && recipientElement(trace.recipient);
  return {
    eventVersion: "1.11",
    userIdentity: userIdentity(key),
    eventTime: `${call.now.toISOString().slice(0, 19)}Z`,
    eventSource: call.eventSource ?? "kms.amazonaws.com",
    eventName: call.eventName,
    awsRegion: call.region ?? home.region,
    sourceIPAddress: call.sourceIp,
    userAgent: call.userAgent,
    ...(error === undefined ? {} : { errorCode: error.type, errorMessage: error.message }),
    requestParameters: elements(trace.parameters),
    responseElements: call.readOnly || error !== undefined ? null : responseElements(trace),
    ...(recipient === undefined ? {} : { additionalEventData: { recipient } }),
    requestID: call.requestId,
    eventID: randomUUID(),
    readOnly: call.readOnly,
    resources: keysOf(trace).map(({ arn, accountId }) => ({ accountId, type: "AWS::KMS::Key", ARN: arn })),
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: trace.resources[0]?.accountId ?? key?.principal.accountId ?? home.accountId,
    eventCategory: "Management",
  };
}

function userIdentity(key: IssuedKey | undefined): Readonly<Record<string, unknown>> {
  if (key === undefined) return { type: "Unknown" };
  const { kind, userId, arn, accountId, roleArn } = key.principal;
  const types = { root: "Root", user: "IAMUser", session: "AssumedRole", service: "AWSService" };
  const common = { type: types[kind], principalId: userId, arn, accountId, accessKeyId: key.accessKeyId };
  if (kind === "user") return { ...common, userName: arn.slice(arn.lastIndexOf("/") + 1) };
  if (roleArn === undefined) return common;
  const [principalId = ""] = userId.split(":");
  const userName = roleArn.slice(roleArn.lastIndexOf("/") + 1);
  return {
    ...common,
    sessionContext: { sessionIssuer: { type: "Role", principalId, arn: roleArn, accountId, userName } },
  };
}

/** What a call was about, keys before aliases: for CreateKey, which had nothing to name, the key that it made. */
function keysOf({ resources, answer }: CallTrace): readonly Pick<Resource, "arn" | "accountId">[] {
  const named = resources.filter(({ arn }) => arn !== "*");
  const { Arn: arn, AWSAccountId: accountId } = (answer?.KeyMetadata ?? {}) as Partial<Record<string, unknown>>;
  if (named.length === 0 && typeof arn === "string") return [{ arn, accountId: String(accountId) }];
  return [...named].sort((a, b) => Number(isAlias(a.arn)) - Number(isAlias(b.arn)));
}

const isAlias = (arn: string): boolean => arn.includes(":alias/");

/** "Log entries for this operation recorded on or after December 2022 include the key ARN", whatever it answers. */
function responseElements(trace: CallTrace): Readonly<Record<string, unknown>> | null {
  const answered = elements(trace.answer ?? {});
  if (answered !== null && !("keyId" in answered)) return answered;
  const key = keysOf(trace).find(({ arn }) => !isAlias(arn));
  return key === undefined ? answered : { ...answered, keyId: key.arn };
}

/** Capabilities and documents: not byte strings all of them, and not recorded either. */
const UNRECORDED = new Set(["Recipient", "GrantTokens", "GrantToken"]);

/** Members in CloudTrail's lower camel case, byte strings left out; null if there are none. */
function elements(members: object): Readonly<Record<string, unknown>> | null {
  const recorded = Object.entries(members).filter(
    ([name, value]) => !UNRECORDED.has(name) && !(value instanceof Uint8Array) && value !== undefined,
  );
  if (recorded.length === 0) return null;
  return Object.fromEntries(recorded.map(([name, value]) => [camelCase(name), element(value)]));
}

/** Names that stand in a map are the caller's, and stay as they are. */
function element(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Date) return DATE.format(value).replace(/\u202f/g, " ");
  if (Array.isArray(value)) return value.filter((item) => !(item instanceof Uint8Array)).map(element);
  return typeof value === "object" && value !== null ? elements(value) : value;
}

/** `KeyId` becomes `keyId`; `AWSAccountId` stays. */
const camelCase = (name: string): string =>
  /^[A-Z](?![A-Z])/.test(name) ? name.charAt(0).toLowerCase() + name.slice(1) : name;

/** As in `Aug 10, 2022, 10:38:27 PM`. */
const DATE = new Intl.DateTimeFormat("en-US", { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" });

/** The PCRs that CloudTrail shows (KMS Developer Guide, "AWS CloudTrail entries for Nitro enclaves"). */
const RECORDED_PCRS: readonly (readonly [number, string])[] = [
  [0, "attestationDocumentEnclaveImageDigest"],
  ...[1, 2, 3, 4, 8].map((index) => [index, `attestationDocumentEnclavePCR${index}`] as const),
];

/** Those of a NitroTPM ("AWS CloudTrail entries for NitroTPM"). */
const RECORDED_NITRO_TPM_PCRS = [4, 7, 8, 9, 16, 23].map(
  (index) => [index, `attestationDocumentNitroTPMPCR${index}`] as const,
);

function recipientElement(recipient: AttestedRecipient): Readonly<Record<string, string>> {
  const { attestation } = recipient;
  const pcrs = (isNitroTpm(recipient) ? RECORDED_NITRO_TPM_PCRS : RECORDED_PCRS).flatMap(([index, name]) => {
    const value = attestation.pcrs.get(index);
    return value === undefined ? [] : [[name, toHex(value)] as const];
  });
  return Object.fromEntries([["attestationDocumentModuleId", attestation.moduleId], ...pcrs]);
}
