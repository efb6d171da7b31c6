/** STS under the example world: who may assume what, for how long, and each wrong thing with AWS's code and text. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { trustAnchorFromSha256 } from "../../../shared/attestation/trust-anchor.js";
import type { SimulatedKms } from "../../../simulator/endpoint/server.js";
import { startKms } from "../../../simulator/endpoint/server.js";
import { fromBase32, totp } from "../../../simulator/iam/totp.js";
import { readWorld } from "../../../simulator/world/world.js";
import { projectRoot } from "../../support/project.js";
import { callControl } from "../../support/simulated-control.js";
import type { Credentials } from "../../support/simulated-kms.js";
import { callSts, credentialsIn, errorIn } from "../../support/simulated-sts.js";
import type { SetClock } from "../fixtures.js";
import { clockAt, HOUR, SECOND } from "../fixtures.js";

const EXAMPLE = JSON.parse(readFileSync(join(projectRoot, "docs/examples/world.json"), "utf8"));
const ALICE = { accessKeyId: "AKIAALICEEXAMPLE0001", secretAccessKey: "alice-secret-for-tests" };
const ADMINISTRATOR = { accessKeyId: "test", secretAccessKey: "test" };
const ROOT = { accessKeyId: "ROOTEXAMPLE", secretAccessKey: "root-secret-for-tests" };
const PAYMENTS = "arn:aws:iam::111122223333:role/service/payments";
const BREAK_GLASS = "arn:aws:iam::111122223333:role/break-glass";
const REPORTS = "arn:aws:iam::444455556666:role/reports";
const MFA = "arn:aws:iam::111122223333:mfa/alice";

let clock: SetClock;
let kms: SimulatedKms;

beforeAll(async () => {
  clock = clockAt();
  kms = await startKms({
    trustAnchor: trustAnchorFromSha256("none", "00".repeat(32)),
    protocol: "http",
    clock,
    world: readWorld(EXAMPLE, { region: "us-east-1" }),
  });
});
afterAll(() => kms.close());
beforeEach(() => clock.advance(60 * SECOND)); // a code that was taken is not taken again

const call = (credentials: Credentials, form: Readonly<Record<string, string>>) =>
  callSts(kms, clock, credentials, form);
const assume = (credentials: Credentials, RoleArn: string, more: Readonly<Record<string, string>> = {}) =>
  call(credentials, { Action: "AssumeRole", RoleArn, RoleSessionName: "session", ...more });
const code = (): string => totp(fromBase32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), clock());
const lastRecord = () => kms.auditLog.records.at(-1);

const notAuthorized = (who: string, action: string, resource: string, why = "") => ({
  status: 403,
  code: "AccessDenied",
  message: `User: ${who} is not authorized to perform: ${action} on resource: ${resource}${why}`,
});
/** Of roles in the caller's own account. */
const untrusted = (who: string, action: string) => ({
  status: 403,
  code: "AccessDenied",
  message: `User: ${who} is not authorized to perform: ${action} because no role trust policy allows the ${action} action`,
});
const ALICE_ARN = "arn:aws:iam::111122223333:user/engineering/alice";

describe("GetCallerIdentity", () => {
  it.each([
    ["a user", ADMINISTRATOR, "arn:aws:iam::111122223333:user/test", /^AIDA[A-Z2-7]{16}$/],
    ["a user with a path", ALICE, ALICE_ARN, /^AIDA/],
    ["an account", ROOT, "arn:aws:iam::111122223333:root", /^111122223333$/],
  ])("names %s, whatever its policies", async (_, credentials, arn, userId) => {
    const reply = await call(credentials, { Action: "GetCallerIdentity" });
    expect([reply.status, reply.element("Arn"), reply.element("Account")]).toEqual([200, arn, "111122223333"]);
    expect(reply.element("UserId")).toMatch(userId);
  });

  it.each<[string, Credentials, ReturnType<typeof errorIn>]>([
    [
      "an unknown key",
      { accessKeyId: "nobody", secretAccessKey: "x" },
      { status: 403, code: "InvalidClientTokenId", message: "The security token included in the request is invalid." },
    ],
    [
      "an inactive key",
      { accessKeyId: "AKIAALICEEXAMPLE0002", secretAccessKey: "alice-old-secret" },
      { status: 403, code: "InvalidClientTokenId", message: "The security token included in the request is invalid." },
    ],
    [
      "another secret",
      { ...ALICE, secretAccessKey: "x" },
      {
        status: 403,
        code: "SignatureDoesNotMatch",
        message:
          "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
      },
    ],
  ])("refuses %s", async (_, credentials, error) => {
    expect(errorIn(await call(credentials, { Action: "GetCallerIdentity" }))).toEqual(error);
  });
});

describe("a form", () => {
  it.each<[string, Record<string, string>, string, string]>([
    ["without an action", {}, "MissingAction", "Missing Action"],
    [
      "of an operation that there is not",
      { Action: "MakeCoffee" },
      "InvalidAction",
      "Could not find operation MakeCoffee for version 2011-06-15",
    ],
    [
      "of another version",
      { Action: "GetCallerIdentity", Version: "2010-01-01" },
      "InvalidAction",
      "Could not find operation GetCallerIdentity for version 2010-01-01",
    ],
  ])("%s is refused", async (_, form, errorCode, message) => {
    expect(errorIn(await call(ALICE, form))).toEqual({ status: 400, code: errorCode, message });
  });
});

describe("faults", () => {
  it.each([
    ["ThrottlingException", { status: 400, code: "Throttling", message: "Rate exceeded" }],
    ["KMSInternalException", { status: 500, code: "InternalFailure", message: "" }],
    ["DependencyTimeoutException", { status: 503, code: "ServiceUnavailable", message: "" }],
  ] as const)("%s has the name that STS gives it", async (fault, error) => {
    kms.faults.set({ faults: [{ fault, operations: ["GetCallerIdentity"] }] });
    expect(errorIn(await call(ALICE, { Action: "GetCallerIdentity" }))).toEqual(error);
    kms.faults.set({});
    expect((await call(ALICE, { Action: "GetCallerIdentity" })).status).toBe(200);
  });
});

describe("AssumeRole", () => {
  it("gives credentials of the role, under its name and the session's, for an hour", async () => {
    const reply = await assume(ALICE, PAYMENTS);
    expect(reply.status).toBe(200);
    expect(reply.element("Arn")).toBe("arn:aws:sts::111122223333:assumed-role/payments/session");
    expect(reply.element("AssumedRoleId")).toMatch(/^AROA[A-Z2-7]{16}:session$/);
    expect(reply.element("Expiration")).toBe(`${new Date(clock().getTime() + HOUR).toISOString().slice(0, 19)}Z`);
    const identity = await call(credentialsIn(reply), { Action: "GetCallerIdentity" });
    expect(identity.element("Arn")).toBe("arn:aws:sts::111122223333:assumed-role/payments/session");
    expect(identity.element("UserId")).toBe(reply.element("AssumedRoleId"));
  });

  it("gives credentials that end", async () => {
    const session = credentialsIn(await assume(ALICE, PAYMENTS, { DurationSeconds: "900" }));
    clock.advance(899 * SECOND);
    expect((await call(session, { Action: "GetCallerIdentity" })).status).toBe(200);
    clock.advance(SECOND);
    expect(errorIn(await call(session, { Action: "GetCallerIdentity" }))).toEqual({
      status: 403,
      code: "ExpiredToken",
      message: "The security token included in the request is expired",
    });
  });

  it("needs both accounts across accounts, and the external id that the trust policy wants", async () => {
    const session = credentialsIn(await assume(ALICE, PAYMENTS));
    const who = "arn:aws:sts::111122223333:assumed-role/payments/session";
    expect((await assume(session, REPORTS, { ExternalId: "reports-2026" })).status).toBe(200);
    expect(errorIn(await assume(session, REPORTS))).toEqual(notAuthorized(who, "sts:AssumeRole", REPORTS));
    expect(errorIn(await assume(session, REPORTS, { ExternalId: "other" }))).toEqual(
      notAuthorized(who, "sts:AssumeRole", REPORTS),
    );
    expect(errorIn(await assume(ADMINISTRATOR, REPORTS, { ExternalId: "reports-2026" }))).toEqual(
      notAuthorized("arn:aws:iam::111122223333:user/test", "sts:AssumeRole", REPORTS),
    );
  });

  it("says of a role that there is not what it says of one that does not trust", async () => {
    const nobody = "arn:aws:iam::444455556666:role/nobody";
    expect(errorIn(await assume(ADMINISTRATOR, nobody))).toEqual(
      notAuthorized("arn:aws:iam::111122223333:user/test", "sts:AssumeRole", nobody),
    );
  });

  it("says that the caller's own policies do not allow it", async () => {
    const session = credentialsIn(await assume(ALICE, PAYMENTS));
    expect(errorIn(await assume(session, PAYMENTS))).toEqual(
      notAuthorized(
        "arn:aws:sts::111122223333:assumed-role/payments/session",
        "sts:AssumeRole",
        PAYMENTS,
        " because no identity-based policy allows the sts:AssumeRole action",
      ),
    );
  });

  it("needs sts:TagSession for tags, of both sides", async () => {
    const tags = { "Tags.member.1.Key": "project", "Tags.member.1.Value": "x" };
    expect((await assume(ALICE, PAYMENTS, tags)).status).toBe(200);
    expect(errorIn(await assume(ALICE, BREAK_GLASS, { ...tags, SerialNumber: MFA, TokenCode: code() }))).toEqual(
      untrusted(ALICE_ARN, "sts:TagSession"),
    );
  });

  it("hands transitive tags and the source identity on, and lets neither be changed", async () => {
    const first = credentialsIn(
      await assume(ALICE, PAYMENTS, {
        "Tags.member.1.Key": "project",
        "Tags.member.1.Value": "x",
        "TransitiveTagKeys.member.1": "project",
        SourceIdentity: "alice",
      }),
    );
    const second = await assume(first, REPORTS, { ExternalId: "reports-2026" });
    expect(second.element("SourceIdentity")).toBe("alice");
    const key = kms.principals.lookUp(second.element("AccessKeyId"));
    expect([...(key?.tags ?? [])]).toEqual([["project", "x"]]);
    const again = { ExternalId: "reports-2026", "Tags.member.1.Key": "Project", "Tags.member.1.Value": "y" };
    expect(errorIn(await assume(first, REPORTS, again))).toEqual({
      status: 400,
      code: "InvalidParameterValue",
      message:
        "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
    });
    expect(errorIn(await assume(first, REPORTS, { ExternalId: "reports-2026", SourceIdentity: "bob" })).code).toBe(
      "ValidationError",
    );
  });

  it("limits a session to its session policies", async () => {
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "kms:Decrypt", Resource: "*" }],
    });
    const reply = await assume(ALICE, PAYMENTS, { Policy });
    expect(Number(reply.element("PackedPolicySize"))).toBeGreaterThan(0);
    expect(errorIn(await assume(credentialsIn(reply), REPORTS, { ExternalId: "reports-2026" }))).toEqual(
      notAuthorized(
        "arn:aws:sts::111122223333:assumed-role/payments/session",
        "sts:AssumeRole",
        REPORTS,
        " because no session policy allows the sts:AssumeRole action",
      ),
    );
  });

  it.each<[string, Credentials, string, Record<string, string>, ReturnType<typeof errorIn>]>([
    [
      "the root user",
      ROOT,
      PAYMENTS,
      {},
      { status: 403, code: "AccessDenied", message: "Roles may not be assumed by root accounts." },
    ],
    [
      "an ARN of no role",
      ALICE,
      ALICE_ARN,
      {},
      { status: 400, code: "ValidationError", message: `${ALICE_ARN} is invalid` },
    ],
    [
      "longer than the role has",
      ALICE,
      PAYMENTS,
      { DurationSeconds: "7201" },
      {
        status: 400,
        code: "ValidationError",
        message: "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
      },
    ],
    [
      "shorter than 900 seconds",
      ALICE,
      PAYMENTS,
      { DurationSeconds: "899" },
      {
        status: 400,
        code: "ValidationError",
        message:
          "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
      },
    ],
    [
      "a session name with a space",
      ALICE,
      PAYMENTS,
      { RoleSessionName: "a b" },
      {
        status: 400,
        code: "ValidationError",
        message:
          "1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*",
      },
    ],
    [
      "a policy that is none",
      ALICE,
      PAYMENTS,
      { Policy: "{}" },
      { status: 400, code: "MalformedPolicyDocument", message: expect.any(String) },
    ],
    [
      "tags that differ in case alone",
      ALICE,
      PAYMENTS,
      {
        "Tags.member.1.Key": "a",
        "Tags.member.1.Value": "",
        "Tags.member.2.Key": "A",
        "Tags.member.2.Value": "",
      },
      {
        status: 400,
        code: "InvalidParameterValue",
        message: "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
      },
    ],
    [
      "a transitive key without its tag",
      ALICE,
      PAYMENTS,
      { "TransitiveTagKeys.member.1": "a" },
      {
        status: 400,
        code: "InvalidParameterValue",
        message: "The specified transitive tag key must be included in the requested tags.",
      },
    ],
  ])("refuses %s", async (_, credentials, role, more, error) => {
    expect(errorIn(await assume(credentials, role, more))).toEqual(error);
  });

  it("refuses more than an hour to a session", async () => {
    const session = credentialsIn(await assume(ALICE, PAYMENTS));
    const more = { ExternalId: "reports-2026", DurationSeconds: "3601" };
    expect(errorIn(await assume(session, REPORTS, more))).toEqual({
      status: 400,
      code: "ValidationError",
      message: "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    });
  });

  it("takes a one-time code, once, where the trust policy wants MFA", async () => {
    expect(errorIn(await assume(ALICE, BREAK_GLASS))).toEqual(untrusted(ALICE_ARN, "sts:AssumeRole"));
    const withCode = { SerialNumber: MFA, TokenCode: code() };
    expect((await assume(ALICE, BREAK_GLASS, withCode)).status).toBe(200);
    expect(errorIn(await assume(ALICE, BREAK_GLASS, withCode))).toEqual({
      status: 403,
      code: "AccessDenied",
      message: "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
    });
  });

  it("refuses the device of somebody else", async () => {
    expect(errorIn(await assume(ADMINISTRATOR, BREAK_GLASS, { SerialNumber: MFA, TokenCode: code() }))).toEqual({
      status: 403,
      code: "AccessDenied",
      message:
        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.",
    });
  });

  it("is recorded, without the code and without the session's secrets", async () => {
    const reply = await assume(ALICE, BREAK_GLASS, { SerialNumber: MFA, TokenCode: code() });
    const record = lastRecord();
    expect(record).toMatchObject({
      eventSource: "sts.amazonaws.com",
      eventName: "AssumeRole",
      readOnly: true,
      requestParameters: { roleArn: BREAK_GLASS, roleSessionName: "session", serialNumber: MFA },
      resources: [{ accountId: "111122223333", type: "AWS::IAM::Role", ARN: BREAK_GLASS }],
      recipientAccountId: "111122223333",
    });
    const text = JSON.stringify(record);
    for (const secret of ["SessionToken", "SecretAccessKey"]) expect(text).not.toContain(reply.element(secret));
    expect(text).not.toContain("tokenCode");
    await assume(ALICE, `${PAYMENTS}-not`);
    expect(lastRecord()).toMatchObject({ errorCode: "AccessDenied", eventName: "AssumeRole" });
  });
});

describe("GetSessionToken", () => {
  const token = (credentials: Credentials, more: Readonly<Record<string, string>> = {}) =>
    call(credentials, { Action: "GetSessionToken", ...more });

  it("gives a user short-lived credentials that satisfy MFA while the code is young", async () => {
    const plain = credentialsIn(await token(ALICE));
    expect(errorIn(await assume(plain, BREAK_GLASS))).toEqual(untrusted(ALICE_ARN, "sts:AssumeRole"));
    const session = credentialsIn(await token(ALICE, { SerialNumber: MFA, TokenCode: code() }));
    expect((await assume(session, BREAK_GLASS)).status).toBe(200);
    clock.advance(299 * SECOND);
    expect((await assume(session, BREAK_GLASS)).status).toBe(200);
    clock.advance(SECOND);
    expect(errorIn(await assume(session, BREAK_GLASS))).toEqual(untrusted(ALICE_ARN, "sts:AssumeRole"));
  });

  it("lasts twelve hours, of the root user at most one", async () => {
    const endOf = async (credentials: Credentials, more = {}) =>
      (Date.parse((await token(credentials, more)).element("Expiration")) -
        Math.floor(clock().getTime() / SECOND) * SECOND) /
      HOUR;
    expect(await endOf(ALICE)).toBe(12);
    expect(await endOf(ALICE, { DurationSeconds: "129600" })).toBe(36);
    expect(await endOf(ROOT)).toBe(1);
  });

  it("refuses a session, and half of an MFA proof", async () => {
    expect(errorIn(await token(credentialsIn(await token(ALICE))))).toEqual({
      status: 403,
      code: "AccessDenied",
      message: "Cannot call GetSessionToken with session credentials",
    });
    expect(errorIn(await token(ALICE, { TokenCode: "123456" })).message).toBe(
      "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. ",
    );
  });

  it.each([
    ["12345678", "Member must have length less than or equal to 6"],
    ["1234", "Member must have length greater than or equal to 6"],
    ["12345x", "Member must satisfy regular expression pattern: [\\d]*"],
  ])("shows the code %s in neither its refusal nor its record", async (TokenCode, constraint) => {
    const message = `1 validation error detected: Value at 'tokenCode' failed to satisfy constraint: ${constraint}`;
    expect(errorIn(await token(ALICE, { SerialNumber: MFA, TokenCode }))).toEqual({
      ...{ status: 400, code: "ValidationError", message },
    });
    expect(lastRecord()?.errorMessage).toBe(message);
  });
});

describe("ExplainRequest", () => {
  it("finds the newest refusal of STS, too", async () => {
    expect((await assume(ALICE, BREAK_GLASS)).status).toBe(403);
    expect(await callControl(kms, clock, kms.operator, "ExplainRequest")).toMatchObject({
      ...{ eventName: "AssumeRole", errorCode: "AccessDenied" },
    });
  });
});

describe("a call that cannot be recorded", () => {
  it("is answered with InternalFailure, and the next one as ever", async () => {
    const failures: unknown[] = [];
    const trustAnchor = trustAnchorFromSha256("none", "00".repeat(32));
    const onInternalError = (error: unknown) => failures.push(error);
    await using full = await startKms({ trustAnchor, protocol: "http", clock, onInternalError });
    const identify = () => callSts(full, clock, full.operator, { Action: "GetCallerIdentity" });
    const unsubscribe = full.auditLog.subscribe(() => {
      throw new Error("no space left on device");
    });
    expect(errorIn(await identify())).toEqual({ status: 500, code: "InternalFailure", message: "" });
    expect(failures).toContainEqual(new Error("no space left on device"));
    unsubscribe();
    expect((await identify()).status).toBe(200);
  });
});
