/** Who a record says called: with which credentials, through whom, which way, and in whose logs it stands. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KMSClient } from "@aws-sdk/client-kms";
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateRandomCommand,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import { utf8 } from "../../../shared/bytes.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { ADMINISTRATOR_POLICY } from "../../../simulator/iam/principals.js";
import { fromBase32, totp } from "../../../simulator/iam/totp.js";
import { readWorld } from "../../../simulator/world/world.js";
import { projectRoot } from "../../support/project.js";
import type { Credentials } from "../../support/simulated-kms.js";
import { errorNameOf, kmsClient } from "../../support/simulated-kms.js";
import { callSts, credentialsIn } from "../../support/simulated-sts.js";
import { clockAt, SECOND } from "../fixtures.js";

const { organization: _, ...EXAMPLE } = JSON.parse(readFileSync(join(projectRoot, "docs/examples/world.json"), "utf8"));
const ADMINISTRATOR = { accessKeyId: "test", secretAccessKey: "test" };
const ALICE = { accessKeyId: "AKIAALICEEXAMPLE0001", secretAccessKey: "alice-secret-for-tests" };
const ALICE_THROUGH_S3 = { accessKeyId: "AKIAALICEEXAMPLE0003", secretAccessKey: "alice-through-s3" };
const LOGS = { accessKeyId: "LOGSEXAMPLE", secretAccessKey: "logs-secret-for-tests" };
const MFA = "arn:aws:iam::111122223333:mfa/alice";
const VPCE = "vpce-0c1b2c3d4e5f60718";
const [HERE, ELSEWHERE] = ["111122223333", "777788889999"];

const clock = clockAt();
const created = "2026-11-23T10:00:00Z";
let kms: SimulatedKms;
let roleArn: string;
const clients: KMSClient[] = [];

beforeAll(async () => {
  kms = await started({});
  const trusted = { Effect: "Allow", Principal: { AWS: HERE }, Action: ["sts:AssumeRole", "sts:SetSourceIdentity"] };
  const trustPolicy = JSON.stringify({ Version: "2012-10-17", Statement: [trusted] });
  roleArn = kms.principals.addRole({ name: "traced", trustPolicy, policies: [ADMINISTRATOR_POLICY] });
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await kms.close();
});

const started = (more: object): Promise<SimulatedKms> =>
  startKms({
    ...{ trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)), protocol: "http", clock },
    world: readWorld({ ...EXAMPLE, ...more }, { region: "us-east-1" }),
  });

function clientOf(credentials: Credentials, server = kms): KMSClient {
  const client = kmsClient(server, clock, credentials);
  clients.push(client);
  return client;
}

const lastRecord = (server = kms) => server.auditLog.records.at(-1);
const sts = (credentials: Credentials, form: Readonly<Record<string, string>>) =>
  callSts(kms, clock, credentials, form);
const assume = (more: Readonly<Record<string, string>> = {}) =>
  sts(ADMINISTRATOR, { Action: "AssumeRole", RoleArn: roleArn, RoleSessionName: "session", ...more });

/** What the record of a call with these credentials says of the caller. */
async function identityOf(credentials: Credentials) {
  await errorNameOf(clientOf(credentials).send(new GenerateRandomCommand({ NumberOfBytes: 1 })));
  return lastRecord()?.userIdentity;
}

/** A key that the principals of `policyPrincipal` may use. */
async function keyFor(policyPrincipal: object, server = kms): Promise<string> {
  const Statement = [{ AWS: HERE }, policyPrincipal].map((Principal) => ({
    ...{ Effect: "Allow", Principal, Action: "kms:*", Resource: "*" },
  }));
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
  const { KeyMetadata } = await clientOf(ADMINISTRATOR, server).send(new CreateKeyCommand({ Policy }));
  return KeyMetadata?.Arn ?? "";
}

describe("userIdentity", () => {
  it("has no session of a long-lived access key", async () => {
    expect(await identityOf(ADMINISTRATOR)).toEqual({
      ...{ type: "IAMUser", principalId: expect.stringMatching(/^AIDA/), arn: "arn:aws:iam::111122223333:user/test" },
      ...{ accountId: HERE, accessKeyId: "test", userName: "test" },
    });
  });

  it("has a role's session with when it began, and its source identity", async () => {
    const session = credentialsIn(await assume({ SourceIdentity: "somebody" }));
    const principalId = expect.stringMatching(/^AROA/);
    const sessionIssuer = { type: "Role", principalId, arn: roleArn, accountId: HERE, userName: "traced" };
    const attributes = { creationDate: created, mfaAuthenticated: "false" };
    expect(await identityOf(session)).toMatchObject({
      type: "AssumedRole",
      sessionContext: { sessionIssuer, attributes, sourceIdentity: "somebody" },
    });
    expect((await identityOf(credentialsIn(await assume())))?.sessionContext).toEqual({ sessionIssuer, attributes });
  });

  it("has of GetSessionToken's credentials whether a code was given for them", async () => {
    const sessionOf = async (form: Readonly<Record<string, string>>) =>
      identityOf(credentialsIn(await sts(ALICE, { Action: "GetSessionToken", ...form })));
    expect(await sessionOf({})).toMatchObject({
      ...{ type: "IAMUser", userName: "alice" },
      sessionContext: { attributes: { creationDate: created, mfaAuthenticated: "false" } },
    });
    const TokenCode = totp(fromBase32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), clock());
    expect((await sessionOf({ SerialNumber: MFA, TokenCode }))?.sessionContext).toEqual({
      attributes: { creationDate: created, mfaAuthenticated: "true" },
    });
  });

  it("names the service that calls on a user's behalf", async () => {
    expect(await identityOf(ALICE_THROUGH_S3)).toMatchObject({ userName: "alice", invokedBy: "s3.amazonaws.com" });
    expect(lastRecord()?.sourceIPAddress).toBe("s3.amazonaws.com");
    expect(await identityOf(ALICE)).not.toHaveProperty("invokedBy");
    expect(lastRecord()?.sourceIPAddress).toBe("127.0.0.1");
  });

  it("names of a service that calls as itself nothing else", async () => {
    const KeyId = await keyFor({ Service: "logs.us-east-1.amazonaws.com" });
    await clientOf(LOGS).send(new EncryptCommand({ KeyId, Plaintext: utf8("x") }));
    expect(lastRecord()).toMatchObject({ recipientAccountId: HERE, sourceIPAddress: "logs.us-east-1.amazonaws.com" });
    expect(lastRecord()?.userIdentity).toEqual({ type: "AWSService", invokedBy: "logs.us-east-1.amazonaws.com" });
    expect(lastRecord()).not.toHaveProperty("sharedEventID");
  });
});

describe("a call through a VPC endpoint", () => {
  const endpoint = { id: VPCE, vpcId: "vpc-0c1b2c3d4e5f60718", sourceCidrs: ["127.0.0.0/8"] };

  it.each([
    ["its own account", {}, HERE],
    ["another account", { accountId: ELSEWHERE }, ELSEWHERE],
  ])("is recorded with the endpoint of %s, and one that a service made without it", async (_, owner, accountId) => {
    const vpcEndpoints = [{ ...endpoint, ...owner, serviceName: "com.amazonaws.us-east-1.kms" }];
    await using server = await started({ vpcEndpoints });
    const call = (credentials: Credentials) =>
      errorNameOf(clientOf(credentials, server).send(new GenerateRandomCommand({ NumberOfBytes: 1 })));
    await call(ADMINISTRATOR);
    expect(lastRecord(server)).toMatchObject({ vpcEndpointId: VPCE, vpcEndpointAccountId: accountId });
    await call(ALICE_THROUGH_S3);
    expect(lastRecord(server)).not.toHaveProperty("vpcEndpointId");
  });

  it("is recorded by STS too", async () => {
    const vpcEndpoints = [{ ...endpoint, serviceName: "com.amazonaws.us-east-1.sts" }];
    await using server = await started({ vpcEndpoints });
    await callSts(server, clock, ADMINISTRATOR, { Action: "GetCallerIdentity" });
    expect(lastRecord(server)).toMatchObject({ vpcEndpointId: VPCE, vpcEndpointAccountId: HERE });
    await errorNameOf(clientOf(ADMINISTRATOR, server).send(new GenerateRandomCommand({ NumberOfBytes: 1 })));
    expect(lastRecord(server)).not.toHaveProperty("vpcEndpointId");
  });
});

describe("a call to another account's key", () => {
  const guest = () => ({ name: "guest", accountId: ELSEWHERE, policies: [ADMINISTRATOR_POLICY] });

  it("has a record in each account, of one shared event, and the owner's tells no name", async () => {
    const client = clientOf(kms.principals.addUser(guest()));
    const KeyId = await keyFor({ AWS: ELSEWHERE });
    await client.send(new DescribeKeyCommand({ KeyId }));
    const [own, owners] = kms.auditLog.records.slice(-2);
    expect(own).toMatchObject({ recipientAccountId: ELSEWHERE, userIdentity: { type: "IAMUser", userName: "guest" } });
    const { principalId } = own?.userIdentity ?? {};
    expect(owners).toEqual({
      ...own,
      userIdentity: { type: "AWSAccount", principalId, accountId: ELSEWHERE },
      recipientAccountId: HERE,
      eventID: expect.any(String),
    });
    expect(own?.sharedEventID).toMatch(/^[0-9a-f-]{36}$/);
    expect(owners?.eventID).not.toBe(own?.eventID);
  });

  it("has one record alone if nobody knows whose the key is", async () => {
    await using other = await started({});
    const KeyId = await keyFor({ AWS: HERE }, other);
    const { CiphertextBlob } = await clientOf(ADMINISTRATOR, other).send(
      new EncryptCommand({ KeyId, Plaintext: utf8("x") }),
    );
    const before = kms.auditLog.records.length;
    const command = new DecryptCommand({ CiphertextBlob, GrantTokens: ["none"] });
    expect(await errorNameOf(clientOf(ADMINISTRATOR).send(command))).toBe("InvalidGrantTokenException");
    const records = kms.auditLog.records.slice(before);
    expect(records.map(({ recipientAccountId }) => recipientAccountId)).toEqual([HERE]);
  });

  it("has one record alone if it is refused, or stays in its account", async () => {
    const client = clientOf(kms.principals.addUser({ ...guest(), name: "refused" }));
    const KeyId = await keyFor({ AWS: HERE });
    const before = kms.auditLog.records.length;
    expect(await errorNameOf(client.send(new DescribeKeyCommand({ KeyId })))).toBe("AccessDeniedException");
    await clientOf(ADMINISTRATOR).send(new DescribeKeyCommand({ KeyId }));
    const records = kms.auditLog.records.slice(before);
    expect(records.map(({ recipientAccountId }) => recipientAccountId)).toEqual([ELSEWHERE, HERE]);
    for (const record of records) expect(record).not.toHaveProperty("sharedEventID");
  });
});

describe("what STS answered", () => {
  const credentials = (reply: { element(name: string): string }, expiration: string) => ({
    credentials: { accessKeyId: reply.element("AccessKeyId"), expiration },
  });

  it("is recorded of AssumeRole without the secrets", async () => {
    const reply = await assume({ DurationSeconds: "900" });
    expect(lastRecord()?.responseElements).toMatchObject({
      ...credentials(reply, "Nov 23, 2026, 10:15:00 AM"),
      assumedRoleUser: {
        assumedRoleId: reply.element("AssumedRoleId"),
        arn: "arn:aws:sts::111122223333:assumed-role/traced/session",
      },
    });
    const text = JSON.stringify(lastRecord());
    for (const secret of ["SessionToken", "SecretAccessKey"]) expect(text).not.toContain(reply.element(secret));
  });

  it("is recorded of GetSessionToken, and not of what only looks", async () => {
    const reply = await sts(ADMINISTRATOR, { Action: "GetSessionToken", DurationSeconds: "900" });
    expect(lastRecord()?.responseElements).toEqual(credentials(reply, "Nov 23, 2026, 10:15:00 AM"));
    await sts(ADMINISTRATOR, { Action: "GetCallerIdentity" });
    expect(lastRecord()?.responseElements).toBeNull();
    clock.advance(SECOND);
  });
});
