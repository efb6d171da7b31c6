/** The request context: the condition keys of each kind of caller and each way in, all of them and no other. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { AwsRequest } from "../../../simulator/endpoint/service.js";
import type { IssuedKey } from "../../../simulator/iam/access-keys.js";
import { Principals } from "../../../simulator/iam/principals.js";
import { conditionValues, requestContext, resourceConditions } from "../../../simulator/iam/request-context.js";
import { readWorld } from "../../../simulator/world/world.js";
import { projectRoot } from "../../support/project.js";
import { clockAt, NOW, SECOND } from "../fixtures.js";

const region = "us-east-1";
const EXAMPLE = JSON.parse(readFileSync(join(projectRoot, "docs/examples/world.json"), "utf8"));
const clock = clockAt();
const world = readWorld(EXAMPLE, { region });
const principals = new Principals({ accountId: "111122223333", region, clock, world });

const REQUEST: AwsRequest = {
  method: "POST",
  target: "/",
  rawHeaders: ["Host", "kms.us-east-1.amazonaws.com"],
  body: new Uint8Array(),
  operation: "TrentService.Decrypt",
  sourceIp: "203.0.113.7",
  userAgent: "test/1",
  secure: true,
};

const MESSAGE = {
  "aws:UserAgent": ["test/1"],
  "aws:SecureTransport": ["true"],
  "aws:RequestedRegion": ["us-east-1"],
  "aws:CurrentTime": ["2026-11-23T10:00:00.250Z"],
  "aws:EpochTime": ["1795428000"],
};
const ORGANIZATION = {
  "aws:PrincipalOrgID": ["o-a1b2c3d4e5"],
  "aws:PrincipalOrgPaths": ["o-a1b2c3d4e5/r-ab12/ou-ab12-workload/ou-ab12-payments/"],
};
const DIRECT = { "aws:ViaAWSService": ["false"], "aws:SourceIp": ["203.0.113.7"] };

function keyOf(accessKeyId: string): IssuedKey {
  const key = principals.lookUp(accessKeyId);
  if (key === undefined) throw new Error(`there is no access key ${accessKeyId}`);
  return key;
}
const contextOf = (key: IssuedKey, changes: Partial<AwsRequest> = {}, now = NOW, signedFor = region) =>
  requestContext({ ...REQUEST, ...changes }, { key, region: signedFor, service: "kms", now }, world);
const valuesOf = (...args: Parameters<typeof contextOf>) => Object.fromEntries(contextOf(...args).conditions);

const ALICE = keyOf("AKIAALICEEXAMPLE0001");
const alice = {
  "aws:PrincipalArn": ["arn:aws:iam::111122223333:user/engineering/alice"],
  "aws:PrincipalAccount": ["111122223333"],
  "aws:PrincipalType": ["User"],
  "aws:PrincipalIsAWSService": ["false"],
  "aws:PrincipalTag/team": ["payments"],
  "aws:userid": [ALICE.principal.userId],
  "aws:username": ["alice"],
  "kms:CallerAccount": ["111122223333"],
  ...ORGANIZATION,
};

describe("callers", () => {
  it("a user has its name, tags and organisation, and nothing of tokens", () => {
    expect(valuesOf(ALICE)).toEqual({ ...alice, ...DIRECT, ...MESSAGE });
  });

  it("a role's session has the role's ARN, the tags of both, no user name, and MFA that is false", () => {
    const session = principals.issueSession({
      roleArn: "arn:aws:iam::111122223333:role/service/payments",
      sessionName: "session",
      durationSeconds: 900,
      tags: new Map([
        ["team", "other"],
        ["project", "x"],
      ]),
      sourceIdentity: "alice",
    });
    const key = keyOf(session.accessKeyId);
    expect(valuesOf(key)).toEqual({
      "aws:PrincipalArn": ["arn:aws:iam::111122223333:role/service/payments"],
      "aws:PrincipalAccount": ["111122223333"],
      "aws:PrincipalType": ["AssumedRole"],
      "aws:PrincipalIsAWSService": ["false"],
      "aws:PrincipalTag/team": ["other"],
      "aws:PrincipalTag/project": ["x"],
      "aws:userid": [key.principal.userId],
      "aws:TokenIssueTime": ["2026-11-23T10:00:00.250Z"],
      "aws:MultiFactorAuthPresent": ["false"],
      "aws:SourceIdentity": ["alice"],
      "kms:CallerAccount": ["111122223333"],
      ...ORGANIZATION,
      ...DIRECT,
      ...MESSAGE,
    });
  });

  it("a user's session with a code has MFA, and its age in seconds", () => {
    const { accessKeyId } = principals.issueUserSession(ALICE, { durationSeconds: 900, mfaAuthenticatedAt: NOW });
    expect(valuesOf(keyOf(accessKeyId), {}, new Date(NOW.getTime() + 61.5 * SECOND))).toMatchObject({
      "aws:username": ["alice"],
      "aws:MultiFactorAuthPresent": ["true"],
      "aws:MultiFactorAuthAge": ["61"],
    });
  });

  it("an account's root has its type and no user name", () => {
    const values = valuesOf(keyOf("ROOTEXAMPLE"));
    expect(values).toMatchObject({
      "aws:PrincipalType": ["Account"],
      "aws:PrincipalArn": ["arn:aws:iam::111122223333:root"],
      "aws:userid": ["111122223333"],
    });
    expect(values).not.toHaveProperty("aws:username");
  });

  it("a service has its name and what it works for, and neither ARN, account nor address", () => {
    expect(valuesOf(keyOf("LOGSEXAMPLE"))).toEqual({
      "aws:PrincipalType": ["Service"],
      "aws:PrincipalIsAWSService": ["true"],
      "aws:PrincipalServiceName": ["logs.us-east-1.amazonaws.com"],
      "aws:PrincipalServiceNamesList": ["logs.us-east-1.amazonaws.com"],
      "aws:SourceAccount": ["111122223333"],
      "aws:SourceArn": ["arn:aws:logs:us-east-1:111122223333:log-group:payments"],
      "aws:SourceOrgID": ["o-a1b2c3d4e5"],
      "aws:SourceOrgPaths": ["o-a1b2c3d4e5/r-ab12/ou-ab12-workload/ou-ab12-payments/"],
      ...MESSAGE,
    });
  });

  it("a user through a service is the user, with kms:ViaService of the Region and without an address", () => {
    expect(valuesOf(keyOf("AKIAALICEEXAMPLE0003"))).toEqual({
      ...alice,
      "aws:ViaAWSService": ["true"],
      "aws:CalledVia": ["s3.amazonaws.com"],
      "aws:CalledViaFirst": ["s3.amazonaws.com"],
      "aws:CalledViaLast": ["s3.amazonaws.com"],
      "kms:ViaService": ["s3.us-east-1.amazonaws.com"],
      ...MESSAGE,
    });
  });
});

describe("ways in", () => {
  it("the Host of an endpoint that does not say where its requests come from is the endpoint", () => {
    const host = "vpce-0a1b2c3d4e5f60718-abcdefgh.kms.us-east-1.vpce.amazonaws.com:443";
    const context = contextOf(ALICE, { rawHeaders: ["host", host] });
    expect(Object.fromEntries(context.conditions)).toEqual({
      ...alice,
      "aws:ViaAWSService": ["false"],
      "aws:SourceVpce": ["vpce-0a1b2c3d4e5f60718"],
      "aws:SourceVpc": ["vpc-0a1b2c3d4e5f60718"],
      "aws:VpcSourceIp": ["203.0.113.7"],
      ...MESSAGE,
    });
    expect(context.endpointPolicy?.name).toBe("vpce-0a1b2c3d4e5f60718");
  });

  it.each([
    ["of another Region", "vpce-0a1b2c3d4e5f60718.kms.eu-west-1.vpce.amazonaws.com", "203.0.113.7", "eu-west-1"],
    ["that only begins alike", "vpce-0a1b2c3d4e5f607189.kms.us-east-1.vpce.amazonaws.com", "203.0.113.7", region],
    [
      "of an endpoint whose requests come from elsewhere",
      "vpce-0b1b2c3d4e5f60718.kms.us-east-1.vpce.amazonaws.com",
      "203.0.113.7",
      region,
    ],
    ["that has the id elsewhere", "vpce-0a1b2c3d4e5f60718.example.com", "203.0.113.7", region],
  ])("a Host %s is none", (_, host, sourceIp, signedFor) => {
    const values = valuesOf(ALICE, { rawHeaders: ["host", host], sourceIp }, NOW, signedFor);
    expect(values).not.toHaveProperty("aws:SourceVpce");
    expect(values["aws:SourceIp"]).toEqual([sourceIp]);
  });

  it.each(["10.0.0.1", "10.0.255.255", "fd00::1"])("an address that an endpoint names is its own: %s", (sourceIp) => {
    expect(valuesOf(ALICE, { sourceIp })).toMatchObject({
      "aws:SourceVpce": ["vpce-0b1b2c3d4e5f60718"],
      "aws:VpcSourceIp": [sourceIp],
    });
  });

  it.each(["10.1.0.0", "fc00::1", "not an address", ""])("another address is not: %j", (sourceIp) => {
    expect(valuesOf(ALICE, { sourceIp })).not.toHaveProperty("aws:SourceVpce");
  });

  it("plain HTTP and a referrer are seen", () => {
    expect(valuesOf(ALICE, { secure: false, rawHeaders: ["Referer", "https://example.com/"] })).toMatchObject({
      "aws:SecureTransport": ["false"],
      "aws:Referer": ["https://example.com/"],
    });
  });
});

describe("resources and sources", () => {
  it("a resource has its account's place", () => {
    expect(Object.fromEntries(resourceConditions({ accountId: "444455556666" }, world))).toEqual({
      "aws:ResourceAccount": ["444455556666"],
      "aws:ResourceOrgID": ["o-a1b2c3d4e5"],
      "aws:ResourceOrgPaths": ["o-a1b2c3d4e5/r-ab12/ou-ab12-workload/ou-ab12-reports1/"],
    });
    expect(Object.fromEntries(resourceConditions({ accountId: "123456789012" }, world))).toEqual({
      "aws:ResourceAccount": ["123456789012"],
    });
  });

  it("sources are put together by lower-case key", () => {
    const values = conditionValues([["aws:TagKeys", ["a"]]], [["AWS:tagkeys", ["b"]]], []);
    expect([...values]).toEqual([["aws:tagkeys", ["a", "b"]]]);
  });
});
