/**
 * LookupEvents (CloudTrail API reference, API_LookupEvents): the management events of the caller's account and Region, newest
 * first, by one attribute and a span of time. A page may be short, or empty, and yet have a token: one call looks through a
 * bounded number of records.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { fromBase64Url, toBase64Url, utf8 } from "../../shared/bytes.js";
import { AwsError } from "../errors.js";
import { parseInput } from "../kms/schema.js";
import type { AuditLog } from "./audit-log.js";
import type { AuditRecord } from "./records.js";

const ATTRIBUTES = [
  "EventId",
  "EventName",
  "ReadOnly",
  "Username",
  "ResourceType",
  "ResourceName",
  "EventSource",
  "AccessKeyId",
] as const;
type Attribute = (typeof ATTRIBUTES)[number];

const lookupEventsInput = z.object({
  LookupAttributes: z
    .array(z.object({ AttributeKey: z.enum(ATTRIBUTES), AttributeValue: z.string().min(1).max(2000) }))
    .optional(),
  StartTime: z.number().optional(),
  EndTime: z.number().optional(),
  EventCategory: z.string().optional(),
  MaxResults: z.number().optional(),
  NextToken: z.string().optional(),
});

type LookupEventsInput = z.infer<typeof lookupEventsInput>;

/** Whose events a caller sees. */
export interface Scope {
  readonly accountId: string;
  readonly region: string;
}

/** API_Event. */
interface Event {
  readonly EventId: string;
  readonly EventName: string;
  readonly ReadOnly: string;
  readonly AccessKeyId?: string;
  /** Seconds since 1970. */
  readonly EventTime: number;
  readonly EventSource: string;
  readonly Username?: string;
  readonly Resources: readonly { readonly ResourceType: string; readonly ResourceName: string }[];
  readonly CloudTrailEvent: string;
}

interface Page {
  readonly Events: readonly Event[];
  readonly NextToken?: string;
}

const MAX_RESULTS = 50;
const MAX_RECORDS_PER_CALL = 10_000;

/** Checks a request. @throws AwsError as API_LookupEvents lists them */
export function parseLookupEvents(json: unknown): LookupEventsInput {
  const input = parseInput(lookupEventsInput, json);
  const { MaxResults = MAX_RESULTS, StartTime = 0, EndTime = Number.POSITIVE_INFINITY } = input;
  if (!Number.isInteger(MaxResults) || MaxResults < 1 || MaxResults > MAX_RESULTS) {
    throw new AwsError("InvalidMaxResultsException", `MaxResults is from 1 to ${MAX_RESULTS}.`);
  }
  if (StartTime > EndTime) throw new AwsError("InvalidTimeRangeException", "StartTime is after EndTime.");
  if ((input.LookupAttributes?.length ?? 0) > 1) {
    throw new AwsError("InvalidLookupAttributesException", "LookupAttributes can contain only one item.");
  }
  if (input.EventCategory !== undefined && input.EventCategory !== "insight") {
    throw new AwsError("InvalidEventCategoryException", "EventCategory is insight or left out.");
  }
  return input;
}

/** One page. @throws AwsError InvalidNextTokenException */
export async function lookUpEvents(log: AuditLog, scope: Scope, input: LookupEventsInput): Promise<Page> {
  const before = placeIn(input, scope);
  if (input.EventCategory === "insight") return { Events: [] }; // there is nothing here that finds insights
  const events: Event[] = [];
  let looked = 0;
  for await (const { record, place } of log.newestFirst(before)) {
    looked += 1;
    const event = isIn(scope, record) ? eventOf(record) : undefined;
    if (event !== undefined && matches(event, input)) events.push(event);
    if (events.length === (input.MaxResults ?? MAX_RESULTS) || looked === MAX_RECORDS_PER_CALL) {
      return { Events: events, NextToken: tokenFor(place, input, scope) };
    }
  }
  return { Events: events };
}

const isIn = ({ accountId, region }: Scope, record: AuditRecord): boolean =>
  record.recipientAccountId === accountId && record.awsRegion === region;

function eventOf(record: AuditRecord): Event {
  const { accessKeyId } = record.userIdentity;
  const username = usernameOf(record);
  return {
    EventId: record.eventID,
    EventName: record.eventName,
    ReadOnly: String(record.readOnly),
    ...(typeof accessKeyId === "string" ? { AccessKeyId: accessKeyId } : {}),
    EventTime: Date.parse(record.eventTime) / 1000,
    EventSource: record.eventSource,
    ...(username === undefined ? {} : { Username: username }),
    Resources: record.resources.map(({ type, ARN }) => ({ ResourceType: type, ResourceName: ARN })),
    CloudTrailEvent: JSON.stringify(record),
  };
}

/** The user's name, `root`, or the name of the role's session. */
export function usernameOf({ userIdentity }: AuditRecord): string | undefined {
  const { type, userName, principalId } = userIdentity;
  if (typeof userName === "string") return userName;
  if (type === "Root") return "root";
  return typeof principalId === "string" ? principalId.split(":")[1] : undefined;
}

function matches(event: Event, { StartTime, EndTime, LookupAttributes }: LookupEventsInput): boolean {
  if (StartTime !== undefined && event.EventTime < Math.floor(StartTime)) return false;
  if (EndTime !== undefined && event.EventTime > EndTime) return false;
  return (LookupAttributes ?? []).every(({ AttributeKey, AttributeValue }) =>
    valuesOf(event, AttributeKey).includes(AttributeValue),
  );
}

function valuesOf(event: Event, attribute: Attribute): readonly (string | undefined)[] {
  if (attribute === "ResourceType") return event.Resources.map((resource) => resource.ResourceType);
  if (attribute === "ResourceName") return event.Resources.map((resource) => resource.ResourceName);
  return [event[attribute]];
}

// A token names a place in the log and the question that it belongs to: "passed in with the same parameters".
function tokenFor(place: string, input: LookupEventsInput, scope: Scope): string {
  return toBase64Url(utf8(JSON.stringify([place, digestOf(input, scope)])));
}

function placeIn(input: LookupEventsInput, scope: Scope): string | undefined {
  if (input.NextToken === undefined) return undefined;
  const text = Buffer.from(fromBase64Url(input.NextToken) ?? []).toString();
  const match = /^\["([\d.]+)","([0-9a-f]{64})"\]$/.exec(text);
  if (match?.[1] !== undefined && match[2] === digestOf(input, scope)) return match[1];
  throw new AwsError("InvalidNextTokenException", "The token is not one of a request with the same parameters.");
}

function digestOf({ LookupAttributes, StartTime, EndTime, EventCategory }: LookupEventsInput, scope: Scope): string {
  const { accountId, region } = scope;
  const question = [accountId, region, LookupAttributes, StartTime, EndTime, EventCategory];
  return createHash("sha256").update(JSON.stringify(question)).digest("hex");
}
