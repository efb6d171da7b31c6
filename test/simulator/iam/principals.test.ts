/** Principals that a program adds: what limits them, and what their sessions have. */
import { describe, expect, it } from "vitest";
import { ADMINISTRATOR_POLICY, Principals } from "../../../simulator/iam/principals.js";
import { fromBase32, totp } from "../../../simulator/iam/totp.js";
import { clockAt, HOUR, SECOND } from "../fixtures.js";

const clock = clockAt();
const principals = new Principals({ accountId: "111122223333", region: "us-gov-west-1", clock });
const SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

describe("a user", () => {
  it("has the path, tags and boundary that it was given, in the partition of the Region", () => {
    const { accessKeyId } = principals.addUser({
      ...{ name: "alice", path: "/team/", tags: { team: "a" } },
      ...{ policies: [ADMINISTRATOR_POLICY], boundary: ADMINISTRATOR_POLICY },
    });
    const key = principals.lookUp(accessKeyId);
    expect(key?.principal.arn).toBe("arn:aws-us-gov:iam::111122223333:user/team/alice");
    expect(key?.principal.boundary?.text).toBe(ADMINISTRATOR_POLICY);
    expect([...(key?.tags ?? [])]).toEqual([["team", "a"]]);
  });

  it("has no boundary unless it was given one", () => {
    expect(principals.lookUp(principals.addUser({ name: "bob" }).accessKeyId)?.principal).not.toHaveProperty(
      "boundary",
    );
  });

  it("alone has its MFA device", () => {
    principals.addUser({ name: "carol", mfaDevices: [{ base32StringSeed: SEED }] });
    const serial = "arn:aws-us-gov:iam::111122223333:mfa/carol";
    const device = principals.authenticatorOf("arn:aws-us-gov:iam::111122223333:user/carol", serial);
    expect(device?.takes(totp(fromBase32(SEED), clock()), clock())).toBe(true);
    expect(principals.authenticatorOf("arn:aws-us-gov:iam::111122223333:user/bob", serial)).toBeUndefined();
  });

  it("cannot have an access key that there is", () => {
    const accessKey = { accessKeyId: "test", secretAccessKey: "test" };
    principals.addUser({ name: "dan", accessKey });
    expect(() => principals.addUser({ name: "eve", accessKey })).toThrow(
      new TypeError("the access key test exists already"),
    );
  });
});

describe("a session", () => {
  const roleArn = principals.addRole({ name: "role", path: "/service/", tags: { team: "a", cost: "1" } });
  const issue = (more: object = {}) =>
    principals.issueSession({ roleArn, sessionName: "s", durationSeconds: 900, ...more });

  it("has the role's tags under its own, and the role's name without its path", () => {
    const { accessKeyId } = issue({ tags: new Map([["Team", "b"]]), transitiveTags: new Map([["project", "x"]]) });
    const key = principals.lookUp(accessKeyId);
    expect(key?.principal.arn).toBe("arn:aws-us-gov:sts::111122223333:assumed-role/role/s");
    expect(key?.principal.roleArn).toBe("arn:aws-us-gov:iam::111122223333:role/service/role");
    expect(Object.fromEntries(key?.tags ?? [])).toEqual({ Team: "b", cost: "1", project: "x" });
  });

  it("is known for an hour past its end, and then forgotten when another is issued", () => {
    const { accessKeyId } = issue();
    clock.advance(900 * SECOND + HOUR);
    issue();
    expect(principals.lookUp(accessKeyId)).toBeDefined();
    clock.advance(60 * SECOND);
    issue();
    expect(principals.lookUp(accessKeyId)).toBeUndefined();
  });

  it("is of a role that there is", () => {
    expect(() => principals.issueSession({ roleArn: "x", sessionName: "s", durationSeconds: 900 })).toThrow(
      new TypeError("there is no role x"),
    );
    expect(principals.roleOf(roleArn)?.maxSessionDuration).toBe(3600);
  });
});
