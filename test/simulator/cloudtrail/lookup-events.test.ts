/** LookupEvents over the wire: attributes, times, pages, whose events, and what is refused. */
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GetKeyPolicyCommand,
  KMSClient,
  PutKeyPolicyCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import { AuditFile } from "../../../simulator/cloudtrail/audit-file.js";
import { AuditLog } from "../../../simulator/cloudtrail/audit-log.js";
import { lookUpEvents, parseLookupEvents } from "../../../simulator/cloudtrail/lookup-events.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import type { AccessKey } from "../../../simulator/iam/principals.js";
import { ADMINISTRATOR_POLICY } from "../../../simulator/iam/principals.js";
import { signRequest } from "../../../simulator/iam/sign-request.js";
import { testFolder } from "../../support/folder.js";
import { errorNameOf } from "../../support/simulated-kms.js";
import { clockAt, SECOND } from "../fixtures.js";

const clock = clockAt();
const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
const TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";

let kms: SimulatedKms;
let client: KMSClient;
let arn: string;
let keyId: string;

const clientOf = (region: string, credentials: AccessKey): KMSClient =>
  new KMSClient({
    ...{ region, credentials, endpoint: kms.endpoint, maxAttempts: 1 },
    systemClockOffset: clock().getTime() - Date.now(),
  });

beforeAll(async () => {
  kms = await startKms({ trustAnchor, clock, protocol: "http" });
  client = clientOf(kms.region, kms.operator);
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
  [arn, keyId] = [KeyMetadata?.Arn ?? "", KeyMetadata?.KeyId ?? ""];
  clock.advance(10 * SECOND);
  await client.send(new CreateAliasCommand({ AliasName: "alias/a", TargetKeyId: keyId }));
  clock.advance(10 * SECOND);
  for (let i = 0; i < 3; i++) await client.send(new EncryptCommand({ KeyId: keyId, Plaintext: utf8(`${i}`) }));
  const elsewhere = clientOf("eu-west-1", kms.operator);
  await errorNameOf(elsewhere.send(new DescribeKeyCommand({ KeyId: keyId })));
  elsewhere.destroy();
  const user = kms.principals.addUser({ name: "alice" });
  const alice = clientOf(kms.region, user);
  await errorNameOf(alice.send(new DescribeKeyCommand({ KeyId: keyId })));
  alice.destroy();
});
afterAll(async () => {
  client.destroy();
  await kms.close();
});

interface LookedUp {
  readonly status: number;
  readonly body: {
    readonly __type?: string;
    readonly Message?: string;
    readonly message?: string;
    readonly Events: readonly Readonly<Record<string, unknown>>[];
    readonly NextToken?: string;
  };
}

async function lookUp(
  input: object = {},
  { operation = TARGET, key = kms.operator, region = kms.region, service = "cloudtrail" } = {},
): Promise<LookedUp> {
  const body = utf8(JSON.stringify(input));
  const { host } = new URL(kms.endpoint);
  const headers = signRequest({ host, operation, body, region, service, now: clock() }, key);
  const reply = await fetch(kms.endpoint, { method: "POST", headers, body });
  return { status: reply.status, body: JSON.parse(await reply.text()) };
}

const ofKms = { LookupAttributes: [{ AttributeKey: "EventSource", AttributeValue: "kms.amazonaws.com" }] };
const namesOf = ({ body }: LookedUp) => body.Events.map(({ EventName }) => EventName);

describe("LookupEvents", () => {
  it("gives the events of the account and Region, newest first", async () => {
    const names = ["DescribeKey", "Encrypt", "Encrypt", "Encrypt", "CreateAlias", "CreateKey"];
    expect(namesOf(await lookUp(ofKms))).toEqual(names);
    expect(namesOf(await lookUp(ofKms, { region: "eu-west-1" }))).toEqual(["DescribeKey"]);
    const stranger = kms.principals.addRoot({ accountId: "444455556666" });
    expect(namesOf(await lookUp(ofKms, { key: stranger }))).toEqual([]);
  });

  it("gives each in the field set of AWS, with its whole record", async () => {
    const { body } = await lookUp({ LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "CreateAlias" }] });
    const [event] = body.Events;
    const record = kms.auditLog.records.find(({ eventName }) => eventName === "CreateAlias");
    expect(event).toEqual({
      EventId: record?.eventID,
      EventName: "CreateAlias",
      ReadOnly: "false",
      AccessKeyId: kms.operator.accessKeyId,
      EventTime: Date.parse(record?.eventTime ?? "") / 1000,
      EventSource: "kms.amazonaws.com",
      Username: "operator",
      Resources: [
        { ResourceType: "AWS::KMS::Key", ResourceName: arn },
        { ResourceType: "AWS::KMS::Key", ResourceName: arn.replace(`key/${keyId}`, "alias/a") },
      ],
      CloudTrailEvent: JSON.stringify(record),
    });
  });

  it.each([
    ["EventName", "CreateKey", ["CreateKey"]],
    ["Username", "alice", ["DescribeKey"]],
    ["ReadOnly", "false", ["CreateAlias", "CreateKey"]],
    ["ResourceType", "AWS::KMS::Nothing", []],
    ["EventName", "createKey", []],
  ])("finds by %s %s", async (AttributeKey, AttributeValue, names) => {
    expect(namesOf(await lookUp({ LookupAttributes: [{ AttributeKey, AttributeValue }] }))).toEqual(names);
  });

  it("finds by the name of a resource, by access key and by event id", async () => {
    const find = async (AttributeKey: string, AttributeValue: string) =>
      namesOf(await lookUp({ LookupAttributes: [{ AttributeKey, AttributeValue }] }));
    expect(await find("ResourceName", arn.replace(`key/${keyId}`, "alias/a"))).toEqual(["CreateAlias"]);
    expect(await find("ResourceName", arn)).toHaveLength(6);
    expect((await find("AccessKeyId", kms.operator.accessKeyId)).length).toBeGreaterThanOrEqual(5);
    expect(await find("EventId", kms.auditLog.records[0]?.eventID ?? "")).toEqual(["CreateKey"]);
  });

  it("finds by time, both ends included", async () => {
    const [first, second] = kms.auditLog.records.map(({ eventTime }) => Date.parse(eventTime) / 1000);
    expect(namesOf(await lookUp({ ...ofKms, EndTime: second }))).toEqual(["CreateAlias", "CreateKey"]);
    expect(namesOf(await lookUp({ ...ofKms, StartTime: second, EndTime: second }))).toEqual(["CreateAlias"]);
    expect(namesOf(await lookUp({ ...ofKms, EndTime: (first ?? 0) - 1 }))).toEqual([]);
  });

  it("gives pages, which what comes in between does not move", async () => {
    const page = { ...ofKms, MaxResults: 2 };
    const pages: unknown[] = [];
    let NextToken: string | undefined;
    do {
      const reply = await lookUp({ ...page, ...(NextToken === undefined ? {} : { NextToken }) });
      pages.push(namesOf(reply));
      NextToken = reply.body.NextToken;
      if (pages.length === 1) expect((await lookUp({ ...ofKms, MaxResults: 1, NextToken })).status).toBe(200);
    } while (NextToken !== undefined);
    expect(pages).toEqual([["DescribeKey", "Encrypt"], ["Encrypt", "Encrypt"], ["CreateAlias", "CreateKey"], []]);
  });

  it("has no insights", async () => {
    expect((await lookUp({ EventCategory: "insight" })).body).toEqual({ Events: [] });
  });

  it("is recorded itself, with the short target of the SDK for JavaScript as well", async () => {
    expect((await lookUp(ofKms, { operation: "CloudTrail_20131101.LookupEvents" })).status).toBe(200);
    expect(kms.auditLog.records.at(-1)).toMatchObject({
      eventSource: "cloudtrail.amazonaws.com",
      eventName: "LookupEvents",
      readOnly: true,
      requestParameters: { lookupAttributes: [{ attributeKey: "EventSource", attributeValue: "kms.amazonaws.com" }] },
      responseElements: null,
      resources: [],
    });
  });

  it.each([
    [{ MaxResults: 0 }, "InvalidMaxResultsException"],
    [{ MaxResults: 51 }, "InvalidMaxResultsException"],
    [{ StartTime: 2, EndTime: 1 }, "InvalidTimeRangeException"],
    [{ NextToken: "AAAA" }, "InvalidNextTokenException"],
    [{ EventCategory: "weather" }, "InvalidEventCategoryException"],
    [{ LookupAttributes: [...ofKms.LookupAttributes, ...ofKms.LookupAttributes] }, "InvalidLookupAttributesException"],
    [{ MaxResults: "1" }, "SerializationException"],
  ])("refuses %j: %s", async (input, type) => {
    expect((await lookUp()).status).toBe(200);
    const { status, body } = await lookUp(input);
    expect([status, body.__type]).toEqual([400, type]);
    expect(kms.auditLog.records.at(-1)).toMatchObject({ eventName: "LookupEvents", errorCode: type });
  });

  it("refuses a token of another question", async () => {
    const { NextToken } = (await lookUp({ ...ofKms, MaxResults: 1 })).body;
    expect((await lookUp({ ...ofKms, NextToken })).status).toBe(200);
    expect((await lookUp({ NextToken })).body.__type).toBe("InvalidNextTokenException");
  });

  it("needs permission, a signature for it, and a name that it has", async () => {
    const bob = kms.principals.addUser({ name: "bob" });
    const { status, body } = await lookUp({}, { key: bob });
    expect([status, body.__type]).toEqual([400, "AccessDeniedException"]);
    expect(body.Message).toContain("user/bob is not authorized to perform: cloudtrail:LookupEvents");
    const wrong = { accessKeyId: kms.operator.accessKeyId, secretAccessKey: "wrong" };
    expect((await lookUp({}, { key: wrong })).body.__type).toBe("InvalidSignatureException");
    expect((await lookUp({}, { operation: "CloudTrail_20131101.StopLogging" })).body.__type).toBe(
      "UnknownOperationException",
    );
  });

  it("has a call to a key of another account in the logs of both, and a refused one in the caller's alone", async () => {
    const guest = kms.principals.addUser({
      name: "guest",
      accountId: "777788889999",
      policies: [ADMINISTRATOR_POLICY],
    });
    const calling = clientOf(kms.region, guest);
    const call = () => errorNameOf(calling.send(new DescribeKeyCommand({ KeyId: arn })));
    const byGuest = { LookupAttributes: [{ AttributeKey: "Username", AttributeValue: "guest" }] };
    const described = { LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "DescribeKey" }] };
    const before = (await lookUp(described)).body.Events.length;
    expect(await call()).toBe("AccessDeniedException");
    expect((await lookUp(described)).body.Events).toHaveLength(before);
    const { Policy = "" } = await client.send(new GetKeyPolicyCommand({ KeyId: keyId }));
    const document = JSON.parse(Policy);
    const Statement = [
      ...document.Statement,
      { Effect: "Allow", Principal: { AWS: "777788889999" }, Action: "kms:*", Resource: "*" },
    ];
    const open = JSON.stringify({ ...document, Statement });
    await client.send(new PutKeyPolicyCommand({ KeyId: keyId, Policy: open }));
    expect(await call()).toBe("no error");
    await client.send(new PutKeyPolicyCommand({ KeyId: keyId, Policy }));
    calling.destroy();
    const { Events } = (await lookUp(described)).body;
    expect(Events).toHaveLength(before + 1);
    expect(Events[0]).not.toHaveProperty("Username"); // which is the other account's own business
    const own = kms.principals.addRoot({ accountId: "777788889999" });
    expect(namesOf(await lookUp(byGuest, { key: own }))).toEqual(["DescribeKey", "DescribeKey"]);
  });
});

describe("a lookup in a long log", () => {
  it("looks through a bounded part of it at a time, and hands out a token", async () => {
    const scope = { region: "us-east-1", accountId: "111122223333" };
    const file = new AuditFile(testFolder());
    const log = new AuditLog(scope, { capacity: 10, file });
    const trace = { parameters: {}, resources: [], recipient: undefined };
    for (let i = 0; i < 12_000; i++) {
      const call = { requestId: "", sourceIp: "", userAgent: "", now: clock(), trace, error: undefined };
      log.append({ ...call, eventName: i === 0 ? "First" : "Other", readOnly: true });
    }
    const question = { LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "First" }] };
    const first = await lookUpEvents(log, scope, parseLookupEvents(question));
    expect(first.Events).toEqual([]);
    const { NextToken } = first;
    const second = await lookUpEvents(log, scope, parseLookupEvents({ ...question, NextToken }));
    expect(second.Events.map(({ EventName }) => EventName)).toEqual(["First"]);
    expect(second.NextToken).toBeUndefined();
    file.close();
  });
});
