/** What is refused when a policy is put: each case changes one thing in a policy that is accepted. */
import { describe, expect, it } from "vitest";
import { AwsError } from "../../../simulator/errors.js";
import {
  compileEndpointPolicy,
  compileIdentityPolicy,
  compileKeyPolicy,
  compileResourceControlPolicy,
  compileTrustPolicy,
} from "../../../simulator/iam/policy/compile.js";

const ACCOUNT = "111122223333";

function refusalOf(compile: () => unknown): string {
  try {
    compile();
  } catch (error) {
    return error instanceof AwsError ? `${error.type}: ${error.message}` : `unexpected ${String(error)}`;
  }
  return "accepted";
}

const policyOf = (Statement: unknown, Version = "2012-10-17") => JSON.stringify({ Version, Statement });
const malformed = (message: string) => `MalformedPolicyDocumentException: ${message}`;
const vendor = malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
const vendorOfArn = malformed("Resource vendor must be fully qualified and cannot contain regexes.");
const invalidPrincipals = malformed("Policy contains a statement with one or more invalid principals.");
const syntax = malformed("Syntax errors in policy.");
const oneColon = malformed("Actions/Condition can contain only one colon.");

describe("a key policy", () => {
  const statement = { Effect: "Allow", Principal: "*", Action: "kms:Decrypt", Resource: "*" };
  const changed = (change: object) => policyOf([{ ...statement, ...change }]);
  const when = (operator: string, value: unknown, key = "a:x") =>
    changed({ Condition: { [operator]: { [key]: value } } });
  const naming = (...AWS: readonly string[]) => changed({ Principal: { AWS } });

  it.each<[string, string, string]>([
    ["no JSON", "{", malformed("This policy contains invalid Json")],
    ["no statement", policyOf([]), syntax],
    ["another version", policyOf([statement], "2020-01-01"), syntax],
    ["an element that the grammar does not have", changed({ Conditions: {} }), syntax],
    ["an effect that is none", changed({ Effect: "Permit" }), syntax],
    ["an action that is no text", changed({ Action: 1 }), syntax],
    [
      "a condition that schemas would drop",
      `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"__proto__":{"a:x":"1"}}}]}`,
      malformed("This policy contains invalid Json"),
    ],
    [
      "a condition block twice",
      `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"a:x":"true"}},"Condition":{}}}`,
      malformed("This policy contains invalid Json"),
    ],
    [
      "an operator twice, once with an escape",
      `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"a:x":"true"},"\\u0042ool":{"a:y":"true"}}}}`,
      malformed("This policy contains invalid Json"),
    ],
    [
      "a statement id twice",
      policyOf([
        { ...statement, Sid: "one" },
        { ...statement, Sid: "one" },
      ]),
      malformed("Statement IDs (SID) in a single policy must be unique."),
    ],
    ["no principal", changed({ Principal: undefined }), malformed("Policy contains a statement with no principal")],
    [
      "principal and its negation",
      changed({ Effect: "Deny", NotPrincipal: "*" }),
      malformed("Policy contains a statement with no principal"),
    ],
    [
      "an allow of all but some",
      changed({ Principal: undefined, NotPrincipal: { AWS: ACCOUNT } }),
      malformed("NotPrincipal must be used with the effect Deny."),
    ],
    ["an empty principal", changed({ Principal: {} }), invalidPrincipals],
    ["a principal that is no ARN", naming("somebody"), invalidPrincipals],
    ["an account of eleven digits", naming("11112222333"), invalidPrincipals],
    ["a role without an account", naming("arn:aws:iam::role/parent:x"), invalidPrincipals],
    ["a role with a wildcard", naming(`arn:aws:iam::${ACCOUNT}:role/*`), invalidPrincipals],
    ["all sessions of a role", naming(`arn:aws:sts::${ACCOUNT}:assumed-role/parent/*`), invalidPrincipals],
    ["a group", naming(`arn:aws:iam::${ACCOUNT}:group/all`), invalidPrincipals],
    ["a principal of another service", naming("arn:aws:s3:::bucket"), invalidPrincipals],
    ["all services", changed({ Principal: { Service: "*" } }), invalidPrincipals],
    ["an IAM user with a Region", naming(`arn:aws:iam:us-east-1:${ACCOUNT}:user/bob`), invalidPrincipals],
    ["an account with a Region", naming(`arn:aws:iam:us-east-1:${ACCOUNT}:root`), invalidPrincipals],
    ["an account of no partition", naming(`arn:x:iam::${ACCOUNT}:root`), invalidPrincipals],
    ["an empty list of actions", changed({ Action: [] }), malformed("Policy statement must contain actions.")],
    ["an empty list of resources", changed({ Resource: [] }), malformed("Policy statement must contain resources.")],
    ["an action and its negation", changed({ NotAction: "s3:*" }), syntax],
    ["an action without a service", changed({ Action: "Decrypt" }), vendor],
    ["an action that is empty", changed({ Action: "" }), vendor],
    ["an action of an empty service", changed({ Action: ":Decrypt" }), vendor],
    ["an action of a service that has a space", changed({ Action: "a a:List" }), malformed("Vendor a a is not valid")],
    ["an action of some services", changed({ Action: "k*:Decrypt" }), malformed("Vendor k* is not valid")],
    ["an action in three parts", changed({ Action: "kms:De:crypt" }), oneColon],
    ["an action with a variable", changed({ Action: `kms:\${aws:username}` }), oneColon],
    ["a resource and its negation", changed({ NotResource: "*" }), syntax],
    ["an unknown operator", when("StringMatches", "1"), malformed("Invalid Condition type : StringMatches.")],
    ["another case of an operator", when("stringequals", "1"), malformed("Invalid Condition type : stringequals.")],
    [
      "an unknown set operator",
      when("ForSome:StringEquals", "1"),
      malformed("Invalid Condition type : ForSome:StringEquals."),
    ],
    [
      "a set operator on Null",
      when("ForAllValues:Null", "true"),
      malformed("Invalid Condition type : ForAllValues:Null."),
    ],
    ["IfExists on Null", when("NullIfExists", "true"), malformed("Invalid Condition type : NullIfExists.")],
    [
      "an unknown operator without a key",
      changed({ Condition: { StringEqual: {} } }),
      malformed("Invalid Condition type : StringEqual."),
    ],
    ["a Null that is neither", when("Null", "1"), malformed("The Null condition takes true or false.")],
    ["a number that is none", when("NumericEquals", "one"), malformed("The value one is not a number.")],
    ["a date that is none", when("DateEquals", "soon"), malformed("The value soon is not a date.")],
    ["a Boolean that is none", when("Bool", "yes"), malformed("The value yes is not a Boolean.")],
    ["base64 that is none", when("BinaryEquals", "?"), malformed("The value ? is not base64.")],
    ["an ARN that is none", when("ArnLike", "arn:*:role"), malformed("The value arn:*:role is not an ARN.")],
    [
      "an ARN that is none whatever its variable",
      when("ArnLike", `arn:*:\${aws:username}`),
      malformed("The value arn:*: is not an ARN."),
    ],
    [
      "a prefix that is too long",
      when("IpAddress", "10.0.0.0/33"),
      malformed("The value 10.0.0.0/33 is not an IP address or range."),
    ],
    [
      "a variable where none may be",
      when("NumericEquals", `\${aws:username}`),
      malformed(`The value \${aws:username} is not a number.`),
    ],
    [
      "a variable that is not closed",
      when("StringEquals", `\${aws:username`),
      malformed(`The policy variable in \${aws:username is not closed.`),
    ],
    ["a variable without a key", when("StringEquals", `\${}`), malformed(`The policy variable \${} is not valid.`)],
    [
      "a variable of no service",
      changed({ Resource: `arn:aws:kms:*:*:key/\${username}` }),
      malformed(`The policy variable \${username} is not valid.`),
    ],
    [
      "a variable for an ARN's account",
      changed({ Resource: `arn:aws:kms:*:\${aws:PrincipalAccount}:key/1234` }),
      malformed(
        `The policy variable in arn:aws:kms:*:\${aws:PrincipalAccount}:key/1234 must be in the last part of the ARN.`,
      ),
    ],
    [
      "a default value without quotes",
      when("StringEquals", `\${aws:username, x}`),
      malformed(`The default value in \${aws:username, x} must be in single quotes.`),
    ],
    [
      "ForAllValues on a pair of the encryption context",
      when("ForAllValues:StringEquals", "IT", "kms:EncryptionContext:Department"),
      malformed(
        "OverlyPermissiveCondition:EncryptionContext: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified encryption context or with an unspecified encryption context. To fix, remove ForAllValues.",
      ),
    ],
    [
      "ForAllValues on a tag of the request",
      when("ForAllValues:StringLikeIfExists", "a", "aws:RequestTag/team"),
      malformed(
        "OverlyPermissiveCondition: Using the ForAllValues set operator with a single-valued condition key matches requests without the specified tag or with an unspecified tag. To fix, remove ForAllValues.",
      ),
    ],
    [
      "more than 32 KiB",
      changed({ Sid: "x".repeat(32_768) }),
      "LimitExceededException: The key policy exceeds 32768 bytes.",
    ],
  ])("with %s", (_what, text, refusal) => {
    expect(refusalOf(() => compileKeyPolicy(policyOf([statement])))).toBe("accepted");
    expect(refusalOf(() => compileKeyPolicy(text))).toBe(refusal);
  });

  it.each([
    ["one statement without a list", policyOf(statement)],
    ["a statement without a resource, which is about no key", changed({ Resource: undefined })],
    ["a statement without an action, which is about none", changed({ Action: undefined })],
    ["a condition key without a service", when("StringEquals", "1", "x")],
    ["a condition without wanted values", when("StringEquals", [])],
    ["an operator without a key", changed({ Condition: { StringEquals: {}, Null: {} } })],
    ["an action of no known name", changed({ Action: ["s3-x.y:some Action", "kms:re-encrypt_to", "*:*"] })],
    ["an account of China", naming(`arn:aws-cn:iam::${ACCOUNT}:root`)],
    ["ForAllValues on a key with several values", when("ForAllValues:StringEquals", "a", "kms:EncryptionContextKeys")],
    ["the earlier version, where a variable is text", policyOf([{ ...statement, Resource: `\${` }], "2008-10-17")],
    ["a statement id with spaces", changed({ Sid: "Enable IAM User Permissions" })],
    [
      "every kind of principal",
      changed({ Principal: { AWS: ACCOUNT, Service: "s3.amazonaws.com", Federated: "a.b" } }),
    ],
    [
      "a canonical user",
      changed({ Principal: { CanonicalUser: "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218" } }),
    ],
    ["a federated user", naming(`arn:aws:sts::${ACCOUNT}:federated-user/bob`)],
    ["a user with a path", naming(`arn:aws:iam::${ACCOUNT}:user/division/team/bob`)],
    ["a whole ARN out of a variable", when("ArnEquals", `\${aws:SourceArn}`)],
  ])("may have %s", (_what, text) => {
    expect(refusalOf(() => compileKeyPolicy(text))).toBe("accepted");
  });
});

describe("the policy of a VPC endpoint", () => {
  it("names principals and resources", () => {
    const statement = { Effect: "Allow", Principal: "*", Action: "*", Resource: "*" };
    expect(refusalOf(() => compileEndpointPolicy(policyOf(statement)))).toBe("accepted");
    expect(refusalOf(() => compileEndpointPolicy(policyOf({ ...statement, Resource: undefined })))).toBe(
      malformed("Policy statement must contain resources."),
    );
    expect(refusalOf(() => compileEndpointPolicy(policyOf({ ...statement, Action: undefined })))).toBe(
      malformed("Policy statement must contain actions."),
    );
    expect(refusalOf(() => compileEndpointPolicy(policyOf({ ...statement, Principal: undefined })))).toBe(
      malformed("Policy contains a statement with no principal"),
    );
  });
});

describe("an identity policy", () => {
  const statement = { Effect: "Allow", Action: "kms:Decrypt", Resource: "*" };

  it.each<[string, object, string]>([
    ["a principal", { Principal: "*" }, malformed("Policy document should not specify a principal.")],
    ["a negated principal", { NotPrincipal: "*" }, malformed("Policy document should not specify a principal.")],
    ["no action", { Action: undefined }, malformed("Policy statement must contain actions.")],
    ["no resource", { Resource: undefined }, malformed("Policy statement must contain resources.")],
    [
      "a resource that is no ARN",
      { Resource: "key/1234" },
      malformed('Resource key/1234 must be in ARN format or "*".'),
    ],
    ["a resource that is empty", { Resource: "" }, malformed('Resource  must be in ARN format or "*".')],
    [
      "an ARN that does not begin as one",
      { Resource: "x:aws:kms:::y" },
      malformed('Resource x:aws:kms:::y must be in ARN format or "*".'),
    ],
    [
      "an ARN of no partition",
      { Resource: "arn:error:s3:::b" },
      malformed('Partition "error" is not valid for resource "arn:error:s3:::b".'),
    ],
    [
      "an ARN of no partition and little else",
      { NotResource: "a:b:c", Resource: undefined },
      malformed('Partition "b" is not valid for resource "arn:b:c:*:*:*".'),
    ],
    ["an ARN of no service", { Resource: "arn:aws" }, vendorOfArn],
    ["an ARN of all services", { Resource: "arn:aws:*:us-east-1:111122223333:key/*" }, vendorOfArn],
    ["an ARN of some services", { Resource: ["*", "arn:aws:k?s:us-east-1:111122223333:key/*"] }, vendorOfArn],
    ["an ARN of an empty service", { Resource: "arn:aws::fdsasf" }, malformed("The policy failed legacy parsing")],
    ["an ARN of four colons", { Resource: "arn:aws:s3::b" }, malformed("The policy failed legacy parsing")],
    [
      "an ARN of IAM with a Region",
      { Resource: "arn:aws:iam:us-east-1::user/b" },
      malformed("IAM resource arn:aws:iam:us-east-1::user/b cannot contain region information."),
    ],
    [
      "a statement id with spaces",
      { Sid: "my statement" },
      malformed(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
      ),
    ],
  ])("with %s", (_what, change, refusal) => {
    expect(refusalOf(() => compileIdentityPolicy(policyOf(statement)))).toBe("accepted");
    expect(refusalOf(() => compileIdentityPolicy(policyOf({ ...statement, ...change })))).toBe(refusal);
  });

  it.each([
    "arn:*:kms:*:*:key/*",
    "arn:aws-cn:kms:*:*:key/*",
    "arn:aws:fdsasf",
    `arn:aws:kms:*:*:alias/\${aws:username}`,
  ])("may have the resource %s", (Resource) => {
    expect(refusalOf(() => compileIdentityPolicy(policyOf({ ...statement, Resource })))).toBe("accepted");
  });
});

describe("a role's trust policy", () => {
  const statement = { Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: ["sts:AssumeRole", "sts:TagSession"] };

  it.each<[string, object, string]>([
    ["a resource", { Resource: "*" }, malformed("Has prohibited field Resource")],
    ["no principal", { Principal: undefined }, malformed("Missing required field Principal")],
    ["a negated principal", { NotPrincipal: "*" }, malformed("Has prohibited field NotPrincipal")],
    ["no action", { Action: undefined }, malformed("Policy statement must contain actions.")],
    [
      "an action of another service",
      { Action: "kms:Decrypt" },
      malformed("AssumeRole policy may only specify STS AssumeRole actions."),
    ],
  ])("with %s", (_what, change, refusal) => {
    expect(refusalOf(() => compileTrustPolicy(policyOf(statement)))).toBe("accepted");
    expect(refusalOf(() => compileTrustPolicy(policyOf({ ...statement, ...change })))).toBe(refusal);
  });
});

describe("a resource control policy", () => {
  const statement = { Effect: "Deny", Principal: "*", Action: "kms:*", Resource: "*" };
  const unfit = malformed("The provided policy document does not meet the requirements of the specified policy type.");

  it.each<[string, object]>([
    ["an allow of its own", { Effect: "Allow" }],
    ["some principals", { Principal: { AWS: ACCOUNT } }],
    ["everybody besides a service", { Principal: { AWS: "*", Service: "s3.amazonaws.com" } }],
    ["no principal", { Principal: undefined }],
    ["negated actions", { Action: undefined, NotAction: "kms:*" }],
    ["all actions of all services", { Action: "*" }],
    ["no resource", { Resource: undefined }],
  ])("with %s", (_what, change) => {
    expect(refusalOf(() => compileResourceControlPolicy(policyOf(statement)))).toBe("accepted");
    expect(refusalOf(() => compileResourceControlPolicy(policyOf({ ...statement, ...change })))).toBe(unfit);
  });

  it("of the earlier version", () => {
    expect(refusalOf(() => compileResourceControlPolicy(policyOf(statement, "2008-10-17")))).toBe(unfit);
  });

  it("may be RCPFullAWSAccess", () => {
    const full = { Effect: "Allow", Principal: "*", Action: "*", Resource: "*" };
    expect(refusalOf(() => compileResourceControlPolicy(policyOf(full)))).toBe("accepted");
  });
});
