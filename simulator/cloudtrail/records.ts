/**
 * Audit records: one per call and account, in CloudTrail's own field set (CloudTrail User Guide, "CloudTrail record contents";
 * KMS Developer Guide, "Logging AWS KMS API calls"), refused calls included. A byte string is never recorded, whatever
 * its name: plaintexts, ciphertexts, documents and keys are all byte strings.
 */
import { randomUUID } from "node:crypto";
import { toHex } from "../../shared/bytes.js";
import type { TlsDetails } from "../endpoint/service.js";
import type { AwsError } from "../errors.js";
import { parseArn } from "../iam/arn.js";
import type { Resource } from "../iam/authorization.js";
import type { IssuedKey } from "../iam/principals.js";
import type { CallTrace } from "../kms/operation.js";
import type { AttestedRecipient } from "../kms/recipient.js";
import { isNitroTpm } from "../kms/recipient.js";
import type { VpcEndpoint } from "../world/vpc-endpoints.js";
import { camelCase, elements } from "./elements.js";
import type { UserIdentity } from "./user-identity.js";
import { inSeconds, invokerOf, userIdentity } from "./user-identity.js";

/** One CloudTrail record; the members that this simulator fills. */
export interface AuditRecord {
  readonly eventVersion: "1.11";
  readonly userIdentity: UserIdentity;
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
  readonly additionalEventData?: AdditionalEventData;
  /** Left out where nobody called. */
  readonly requestID?: string;
  readonly eventID: string;
  readonly readOnly: boolean;
  readonly resources: readonly { readonly accountId: string; readonly type: string; readonly ARN: string }[];
  readonly eventType: "AwsApiCall" | "AwsServiceEvent";
  readonly managementEvent: true;
  readonly recipientAccountId: string;
  /** Of what a service did by itself. */
  readonly serviceEventDetails?: Readonly<Record<string, string>>;
  /** The same in the records that several accounts have of one call. */
  readonly sharedEventID?: string;
  /** The VPC endpoint that the call came through, and whose it is. */
  readonly vpcEndpointId?: string;
  readonly vpcEndpointAccountId?: string;
  readonly eventCategory: "Management";
  readonly tlsDetails?: TlsDetails;
}

export interface AdditionalEventData {
  /** What the attestation document says, for calls that carried a verified one. */
  readonly recipient?: Readonly<Record<string, string>>;
  /** Of the material that was used. */
  readonly keyMaterialId?: string;
  readonly sourceKeyMaterialId?: string;
  readonly destinationKeyMaterialId?: string;
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
  readonly tlsDetails?: TlsDetails | undefined;
  /** Through which it came. */
  readonly vpcEndpoint?: VpcEndpoint | undefined;
  readonly trace: RecordedTrace;
  readonly error: AwsError | undefined;
}

/** What a record has of the trace of a call. */
export type RecordedTrace = Pick<CallTrace, "parameters" | "resources" | "recipient" | "answer" | "shownAnswer">;

/** Where a record is: in whose log, and in which Region if the call names none. */
export interface Home {
  readonly region: string;
  readonly accountId: string;
}

/** CloudTrail User Guide, "CloudTrail record contents": longer ones are cut. */
const MAX_ERROR_MESSAGE = 1_024;
const MAX_USER_AGENT = 1_024;

/** The record of a call in the log of one account. */
export function recordOf(call: FinishedCall, home: Home): AuditRecord {
  const { error, key, tlsDetails } = call;
  const additionalEventData = additionalData(call);
  return {
    eventVersion: "1.11",
    userIdentity: userIdentity(key),
    eventTime: inSeconds(call.now),
    eventSource: call.eventSource ?? "kms.amazonaws.com",
    eventName: call.eventName,
    awsRegion: call.region ?? home.region,
    // "For services in AWS, only the DNS name is displayed."
    sourceIPAddress: (key && invokerOf(key)) ?? call.sourceIp,
    userAgent: call.userAgent.slice(0, MAX_USER_AGENT),
    ...(error === undefined ? {} : { errorCode: error.type, errorMessage: error.message.slice(0, MAX_ERROR_MESSAGE) }),
    requestParameters: requestParameters(call),
    responseElements: error === undefined ? responseElements(call) : null,
    ...(Object.keys(additionalEventData).length === 0 ? {} : { additionalEventData }),
    requestID: call.requestId,
    eventID: randomUUID(),
    readOnly: call.readOnly,
    resources: visibleTo(call).map(({ arn, accountId }) => ({ accountId, type: resourceType(arn), ARN: arn })),
    eventType: "AwsApiCall",
    managementEvent: true,
    recipientAccountId: home.accountId,
    ...endpointElements(call, home),
    eventCategory: "Management",
    ...(tlsDetails === undefined ? {} : { tlsDetails }),
  };
}

/** What a service calls for somebody does not come through that one's endpoint. An endpoint of no account is the caller's. */
function endpointElements({ vpcEndpoint, key }: FinishedCall, home: Home) {
  if (vpcEndpoint === undefined || key === undefined || invokerOf(key) !== undefined) return {};
  return { vpcEndpointId: vpcEndpoint.id, vpcEndpointAccountId: vpcEndpoint.accountId ?? home.accountId };
}

/** Of another account's key, whoever is refused learns nothing here either, nor whether there is one. */
function visibleTo({ trace, key, error }: FinishedCall): ReturnType<typeof keysOf> {
  const keys = keysOf(trace);
  return isDenied(error) ? keys.filter(({ accountId }) => accountId === key?.principal.accountId) : keys;
}

export const isDenied = (error: AwsError | undefined): boolean => error?.type.startsWith("AccessDenied") === true;

/** Recorded "even if the encryption algorithm wasn't specified in the request". */
const DEFAULT_PARAMETERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Encrypt: { encryptionAlgorithm: "SYMMETRIC_DEFAULT" },
  Decrypt: { encryptionAlgorithm: "SYMMETRIC_DEFAULT" },
  ReEncrypt: {
    sourceEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    destinationEncryptionAlgorithm: "SYMMETRIC_DEFAULT",
  },
};

function requestParameters({ eventName, trace }: FinishedCall): Readonly<Record<string, unknown>> | null {
  const given = elements(trace.parameters);
  const isParsed = Object.keys(trace.parameters).length > 0;
  const defaults = isParsed ? DEFAULT_PARAMETERS[eventName] : undefined;
  return defaults === undefined ? given : { ...defaults, ...given };
}

const MATERIAL_IDS = ["KeyMaterialId", "SourceKeyMaterialId", "DestinationKeyMaterialId"];

function additionalData({ trace, readOnly, error }: FinishedCall): AdditionalEventData {
  const recipient = trace.recipient && recipientElement(trace.recipient);
  const answer = readOnly && error === undefined ? (trace.answer ?? {}) : {};
  const materials = MATERIAL_IDS.filter((name) => typeof answer[name] === "string");
  return {
    ...Object.fromEntries(materials.map((name) => [camelCase(name), answer[name]])),
    ...(recipient === undefined ? {} : { recipient }),
  };
}

function resourceType(arn: string): string {
  return parseArn(arn)?.service === "iam" ? "AWS::IAM::Role" : "AWS::KMS::Key";
}

/** What a call was about, keys before aliases: for CreateKey, which had nothing to name, the key that it made. */
function keysOf({ resources, answer }: RecordedTrace): readonly Pick<Resource, "arn" | "accountId">[] {
  const named = resources.filter(({ arn }) => !arn.endsWith("*"));
  const { Arn: arn, AWSAccountId: accountId } = (answer?.KeyMetadata ?? {}) as Partial<Record<string, unknown>>;
  if (named.length === 0 && typeof arn === "string") return [{ arn, accountId: String(accountId) }];
  return [...named].sort((a, b) => Number(isAlias(a.arn)) - Number(isAlias(b.arn)));
}

const isAlias = (arn: string): boolean => arn.includes(":alias/");

/** "Log entries for this operation recorded on or after December 2022 include the key ARN", whatever it answers. */
function responseElements({ trace, readOnly }: FinishedCall): Readonly<Record<string, unknown>> | null {
  if (trace.shownAnswer !== undefined) return elements(trace.shownAnswer);
  if (readOnly) return null;
  const answered = elements(trace.answer ?? {});
  const key = keysOf(trace).find(({ arn }) => !isAlias(arn));
  // CreateKey and ReplicateKey answer the whole metadata of a key.
  const isMetadata = Object.keys(answered ?? {}).some((name) => /KeyMetadata$/i.test(name));
  return key === undefined || isMetadata ? answered : { ...answered, keyId: key.arn };
}

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
