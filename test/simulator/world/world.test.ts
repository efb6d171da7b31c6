/** world.json: the example is one, its schema is the one that is shipped, and what is wrong is said with its place. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { worldJsonSchema } from "../../../simulator/world/schema.js";
import { readWorld } from "../../../simulator/world/world.js";
import { WorldError } from "../../../simulator/world/world-error.js";
import { projectRoot } from "../../support/project.js";

const region = "us-east-1";
const read = (json: unknown) => readWorld(json, { region });
const document = (path: string): unknown => JSON.parse(readFileSync(join(projectRoot, "docs", path), "utf8"));

const ALLOW = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
const TRUST = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { AWS: "111122223333" }, Action: "sts:AssumeRole" }],
};
const KEY = { accessKeyId: "test", secretAccessKey: "top-secret" };
const ACCOUNT = { id: "111122223333", name: "one" };
const ORGANIZATION = {
  id: "o-a1b2c3d4e5",
  managementAccount: "111122223333",
  root: { id: "r-ab12", accounts: ["111122223333"] },
};
const ENDPOINT = { id: "vpce-0a1b2c3d", vpcId: "vpc-0a1b2c3d", serviceName: "com.amazonaws.us-east-1.kms" };

/** The baseline passes; each case changes it in one place. */
const BASELINE = {
  organization: ORGANIZATION,
  accounts: [
    {
      ...ACCOUNT,
      users: [{ name: "alice", policies: { All: ALLOW }, accessKeys: [KEY] }],
      roles: [{ name: "role", trustPolicy: TRUST }],
    },
  ],
  vpcEndpoints: [ENDPOINT],
};
const withAccount = (changes: object) => ({ ...BASELINE, accounts: [{ ...ACCOUNT, ...changes }] });
const withUser = (changes: object) => withAccount({ users: [{ name: "alice", ...changes }] });
const withRoot = (changes: object) => ({
  ...BASELINE,
  organization: { ...ORGANIZATION, root: { ...ORGANIZATION.root, ...changes } },
});

function messageOf(json: unknown): string {
  try {
    read(json);
  } catch (error) {
    if (error instanceof WorldError) return error.message;
    throw error;
  }
  return "no error";
}

describe("the documents", () => {
  it("have an example that is a world", () => {
    expect(messageOf(document("examples/world.json"))).toBe("no error");
  });

  it("have the JSON Schema that the form gives (nitro-decrypt kms world --schema)", () => {
    expect(document("world.schema.json")).toEqual(worldJsonSchema());
  });
});

describe("what is wrong", () => {
  it("is nothing in the baseline", () => {
    expect(messageOf(BASELINE)).toBe("no error");
  });

  it.each<[string, unknown, string]>([
    ["a name that the form does not have", { ...BASELINE, acounts: [] }, 'the file: Unrecognized key: "acounts"'],
    ["no object at all", "x", 'the file: expected object, got "x"'],
    [
      "an account id of 11 digits",
      withAccount({ id: "11112222333" }),
      'accounts[0].id: expected an account id of 12 digits, got "11112222333"',
    ],
    ["an account without an id", { accounts: [{ name: "one" }] }, "accounts[0].id: expected string, got nothing"],
    ["an account twice", { accounts: [ACCOUNT, ACCOUNT] }, "accounts[1].id: 111122223333 stands in the file twice"],
    [
      "a path without its end",
      withUser({ path: "/x" }),
      'accounts[0].users[0].path: expected a path that begins and ends with /, got "/x"',
    ],
    [
      "a policy that is a number",
      withUser({ policies: { P: 1 } }),
      "accounts[0].users[0].policies.P: expected a policy document, as an object or as text, got 1",
    ],
    [
      "a policy without statements",
      withUser({ policies: { P: {} } }),
      "accounts[0].users[0].policies.P: Syntax errors in policy",
    ],
    [
      "an identity policy with a principal",
      withUser({ policies: { P: { ...ALLOW, Statement: [{ ...ALLOW.Statement[0], Principal: "*" }] } } }),
      "accounts[0].users[0].policies.P: Policy document should not specify a principal.",
    ],
    [
      "a managed policy that there is not",
      withUser({ managedPolicyArns: ["arn:aws:iam::111122223333:policy/P"] }),
      'accounts[0].users[0].managedPolicyArns[0]: expected the ARN of a managed policy of this file, got "arn:aws:iam::111122223333:policy/P"',
    ],
    [
      "a boundary that there is not",
      withUser({ permissionsBoundary: "arn:aws:iam::111122223333:policy/P" }),
      'accounts[0].users[0].permissionsBoundary: expected the ARN of a managed policy of this file, got "arn:aws:iam::111122223333:policy/P"',
    ],
    ["an access key twice", withUser({ accessKeys: [KEY, KEY] }), "accounts: the access key test stands there twice"],
    [
      "a user twice",
      withAccount({ users: [{ name: "a" }, { name: "A" }] }),
      "accounts: the user 111122223333/a stands there twice",
    ],
    [
      "a role that trusts nobody",
      withAccount({ roles: [{ name: "r" }] }),
      "accounts[0].roles[0].trustPolicy: expected a policy document, as an object or as text, got nothing",
    ],
    [
      "a trust policy with a resource",
      withAccount({ roles: [{ name: "r", trustPolicy: ALLOW }] }),
      "accounts[0].roles[0].trustPolicy: Has prohibited field Resource",
    ],
    [
      "a session of 13 hours",
      withAccount({ roles: [{ name: "r", trustPolicy: TRUST, maxSessionDuration: 46_800 }] }),
      "accounts[0].roles[0].maxSessionDuration: Too big: expected number to be <=43200, got 46800",
    ],
    [
      "an account of the organisation that the file does not have",
      withRoot({ accounts: ["444455556666"] }),
      'organization.root.accounts: expected an account of this file, got "444455556666"',
    ],
    [
      "an account in two places",
      withRoot({ organizationalUnits: [{ id: "ou-ab12-00000001", name: "A", accounts: ["111122223333"] }] }),
      "organization.root.organizationalUnits[0].accounts: 111122223333 stands in the organisation twice",
    ],
    [
      "a management account outside",
      withRoot({ accounts: [] }),
      'organization.managementAccount: expected an account of the organisation, got "111122223333"',
    ],
    [
      "a service control policy that is none",
      withRoot({ serviceControlPolicies: { S: { Version: "1" } } }),
      "organization.root.serviceControlPolicies.S: Syntax errors in policy",
    ],
    [
      "a resource control policy that allows",
      withRoot({
        resourceControlPolicies: {
          R: { ...ALLOW, Statement: [{ ...ALLOW.Statement[0], Principal: "*", Action: "kms:*" }] },
        },
      }),
      "organization.root.resourceControlPolicies.R: The provided policy document does not meet the requirements of the specified policy type.",
    ],
    [
      "an endpoint twice",
      { ...BASELINE, vpcEndpoints: [ENDPOINT, ENDPOINT] },
      "vpcEndpoints: vpce-0a1b2c3d stands there twice",
    ],
    [
      "an endpoint of another service",
      { ...BASELINE, vpcEndpoints: [{ ...ENDPOINT, serviceName: "com.amazonaws.us-east-1.s3" }] },
      'vpcEndpoints[0].serviceName: expected com.amazonaws.REGION.kms or .sts, got "com.amazonaws.us-east-1.s3"',
    ],
    [
      "a CIDR that is none",
      { ...BASELINE, vpcEndpoints: [{ ...ENDPOINT, sourceCidrs: ["10.0.0.0/33"] }] },
      'vpcEndpoints[0].sourceCidrs[0]: expected a CIDR such as 10.0.0.0/16, got "10.0.0.0/33"',
    ],
    [
      "tag keys that differ in case alone",
      withUser({ tags: { team: "a", Team: "b" } }),
      "accounts[0].users[0].tags: expected tag keys that differ in more than case",
    ],
  ])("is said of %s", (_, json, message) => {
    expect(messageOf(json).slice(0, message.length)).toBe(message);
  });

  it("is said of OUs that nest six levels deep, and not of five", () => {
    const nested = (levels: number): object => ({
      id: `ou-ab12-0000000${levels}`,
      name: "A",
      ...(levels > 1 ? { organizationalUnits: [nested(levels - 1)] } : {}),
    });
    expect(messageOf(withRoot({ organizationalUnits: [nested(5)] }))).toBe("no error");
    expect(messageOf(withRoot({ organizationalUnits: [nested(6)] }))).toContain("expected OUs at most 5 levels deep");
  });

  it("is said without secrets", () => {
    const secretAccessKey = "s".repeat(129);
    const message = messageOf(withUser({ accessKeys: [{ accessKeyId: "x", secretAccessKey }] }));
    expect(message).toMatch(/^accounts\[0\]\.users\[0\]\.accessKeys\[0\]\.secretAccessKey: /);
    expect(message).not.toContain("sss");
    const seed = messageOf(withUser({ mfaDevices: [{ base32StringSeed: "not-base32" }] }));
    expect(seed).toBe("accounts[0].users[0].mfaDevices[0].base32StringSeed: expected base32 of at least 16 characters");
  });

  it("is an error of one kind, whatever the JSON", () => {
    fc.assert(fc.property(fc.jsonValue(), (json) => void messageOf(json)));
    const pieces = fc.constantFrom<unknown>(null, 1, "x", [], {}, ["x"], ALLOW, TRUST, KEY, ACCOUNT, ORGANIZATION);
    const names = fc.constantFrom("organization", "accounts", "services", "vpcEndpoints", "users", "roles", "policies");
    fc.assert(fc.property(names, pieces, (name, piece) => void messageOf({ ...BASELINE, [name]: piece })));
    fc.assert(fc.property(names, pieces, (name, piece) => void messageOf(withAccount({ [name]: piece }))));
  });
});

describe("an organisation", () => {
  const world = read({
    accounts: [
      { id: "111122223333", name: "m" },
      { id: "444455556666", name: "a" },
      { id: "777788889999", name: "out" },
    ],
    organization: {
      ...ORGANIZATION,
      root: {
        ...ORGANIZATION.root,
        organizationalUnits: [
          {
            id: "ou-ab12-00000001",
            name: "A",
            serviceControlPolicies: { One: ALLOW, Two: ALLOW },
            organizationalUnits: [{ id: "ou-ab12-00000002", name: "B", accounts: ["444455556666"] }],
          },
        ],
      },
    },
  });

  it("gives an account its path and its policies from the root down, defaults included", () => {
    const { organizationId, path, serviceControlPolicies, resourceControlPolicies } =
      world.membershipOf("444455556666") ?? {};
    expect(organizationId).toBe("o-a1b2c3d4e5");
    expect(path).toBe("o-a1b2c3d4e5/r-ab12/ou-ab12-00000001/ou-ab12-00000002/");
    const names = (levels = serviceControlPolicies) => levels?.map((level) => level.map((policy) => policy.name));
    expect(names()).toEqual([["FullAWSAccess"], ["One", "Two"], ["FullAWSAccess"], ["FullAWSAccess"]]);
    expect(names(resourceControlPolicies)).toEqual(Array(4).fill(["RCPFullAWSAccess"]));
  });

  it("does not limit its management account, and knows no account outside", () => {
    expect(world.membershipOf("111122223333")).toEqual({
      organizationId: "o-a1b2c3d4e5",
      path: "o-a1b2c3d4e5/r-ab12/",
    });
    expect(world.membershipOf("777788889999")).toBeUndefined();
  });
});
