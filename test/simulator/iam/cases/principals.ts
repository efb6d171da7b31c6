/** Whom a key policy lets in: the Principal and NotPrincipal elements. */
import type { PolicyCase } from "./case.js";
import {
  ACCOUNT,
  ALICE,
  allow,
  BOB,
  DELEGATION,
  deny,
  OTHER_ACCOUNT,
  OTHER_ROOT,
  ROOT,
  ROOT_USER,
  SERVICE,
  SESSION,
} from "./case.js";
import {
  ACCOUNT_PRINCIPAL,
  ALL_PRINCIPALS,
  DEFAULT_KEY_POLICY,
  KEY_ACCESS,
  KEY_POLICIES,
  NOT_PRINCIPAL,
  ROLE_PRINCIPAL,
  SERVICE_PRINCIPAL,
  SESSION_PRINCIPAL,
  USER_PRINCIPAL,
} from "./sources.js";

const silent = "not-allowed-by-key-policy";

/** A key policy of one statement that allows those principals, and nothing else. */
const only = (
  source: PolicyCase["source"],
  name: string,
  Principal: unknown,
  more: Partial<PolicyCase> = {},
): PolicyCase => ({ name, source, keyPolicy: allow({ Principal }), ends: "allowed", ...more });

const excepting = (name: string, AWS: readonly string[], more: Partial<PolicyCase> = {}): PolicyCase => ({
  name,
  source: NOT_PRINCIPAL,
  keyPolicy: [allow({ Principal: "*" }), deny({ NotPrincipal: { AWS } })],
  ends: "denied-by-key-policy",
  ...more,
});

export const PRINCIPAL_CASES: readonly PolicyCase[] = [
  only(USER_PRINCIPAL, "a user by its ARN", { AWS: ALICE.arn }),
  only(USER_PRINCIPAL, "another user", { AWS: `${ALICE.arn}2` }, { ends: silent }),
  only(USER_PRINCIPAL, "the names of users have case", { AWS: ALICE.arn.replace("alice", "Alice") }, { ends: silent }),
  only(USER_PRINCIPAL, "one of several", { AWS: [SESSION.roleArn, ALICE.arn] }),
  only(
    USER_PRINCIPAL,
    "the user of that name in another account",
    { AWS: ALICE.arn.replace(ACCOUNT, OTHER_ACCOUNT) },
    {
      ends: silent,
    },
  ),
  only(ROLE_PRINCIPAL, "a role lets its sessions in", { AWS: SESSION.roleArn }, { caller: SESSION }),
  only(ROLE_PRINCIPAL, "another role", { AWS: `${SESSION.roleArn}2` }, { caller: SESSION, ends: silent }),
  only(SESSION_PRINCIPAL, "a session by its ARN", { AWS: SESSION.arn }, { caller: SESSION }),
  only(SESSION_PRINCIPAL, "another session of the role", { AWS: `${SESSION.arn}2` }, { caller: SESSION, ends: silent }),
  only(
    ACCOUNT_PRINCIPAL,
    "an account by its ARN does not let its users in by itself",
    { AWS: ROOT },
    {
      ends: "not-allowed-by-identity-policy",
    },
  ),
  only(
    ACCOUNT_PRINCIPAL,
    "an account by its id is the same",
    { AWS: ACCOUNT },
    {
      ends: "not-allowed-by-identity-policy",
    },
  ),
  only(ACCOUNT_PRINCIPAL, "but hands over to its IAM policies", { AWS: ACCOUNT }, { identityPolicies: [allow()] }),
  only(ACCOUNT_PRINCIPAL, "another account", { AWS: OTHER_ROOT }, { identityPolicies: [allow()], ends: silent }),
  only(DEFAULT_KEY_POLICY, "the account's root user", { AWS: ROOT }, { caller: ROOT_USER }),
  only(
    KEY_POLICIES,
    "not even the root user without the key policy",
    { AWS: ALICE.arn },
    {
      caller: ROOT_USER,
      ends: silent,
    },
  ),
  only(
    KEY_POLICIES,
    "no identity policy lets anyone in that the key policy does not",
    { AWS: SESSION.roleArn },
    {
      identityPolicies: [allow()],
      ends: silent,
    },
  ),
  only(KEY_POLICIES, "a statement without a resource lets nobody in", "*", {
    keyPolicy: { Effect: "Allow", Principal: "*", Action: "kms:*" },
    ends: silent,
  }),
  only(KEY_POLICIES, "and denies nobody", "*", {
    keyPolicy: [allow({ Principal: "*" }), { Effect: "Deny", Principal: "*", Action: "kms:*" }],
  }),
  only(KEY_POLICIES, "nor does one without an action", "*", {
    keyPolicy: { Effect: "Allow", Principal: "*", Resource: "*" },
    ends: silent,
  }),
  only(KEY_POLICIES, "which denies nobody either", "*", {
    keyPolicy: [allow({ Principal: "*" }), { Effect: "Deny", Principal: "*", Resource: "*" }],
  }),
  only(ALL_PRINCIPALS, "everybody", "*"),
  only(ALL_PRINCIPALS, "everybody of kind AWS", { AWS: "*" }),
  only(ALL_PRINCIPALS, "everybody, under a condition that holds", "*", {
    keyPolicy: allow({ Principal: "*", Condition: { StringEquals: { "aws:PrincipalOrgID": "o-exampleorgid" } } }),
    values: { "aws:PrincipalOrgID": "o-exampleorgid" },
  }),
  only(ALL_PRINCIPALS, "everybody, under a condition that does not hold", "*", {
    keyPolicy: allow({ Principal: "*", Condition: { StringEquals: { "aws:PrincipalOrgID": "o-exampleorgid" } } }),
    values: { "aws:PrincipalOrgID": "o-anotherorgid" },
    ends: silent,
  }),
  only(SERVICE_PRINCIPAL, "a service by its name", { Service: SERVICE.arn }, { caller: SERVICE }),
  only(SERVICE_PRINCIPAL, "another service", { Service: "logs.amazonaws.com" }, { caller: SERVICE, ends: silent }),
  only(SERVICE_PRINCIPAL, "a service is no user", { Service: SERVICE.arn }, { ends: silent }),
  only(SERVICE_PRINCIPAL, "a service is not of the account", { AWS: ROOT }, { caller: SERVICE, ends: silent }),
  {
    name: "Example 1: the default key policy and no IAM policy",
    source: KEY_ACCESS,
    keyPolicy: DELEGATION,
    identityPolicies: [],
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "a deny of the account denies its users",
    source: ACCOUNT_PRINCIPAL,
    keyPolicy: [allow({ Principal: { AWS: ALICE.arn } }), deny({ Principal: { AWS: ROOT } })],
    ends: "denied-by-key-policy",
  },
  {
    name: "a deny of a role denies its sessions, even those that are allowed by name",
    source: SESSION_PRINCIPAL,
    caller: SESSION,
    keyPolicy: [allow({ Principal: { AWS: SESSION.arn } }), deny({ Principal: { AWS: SESSION.roleArn } })],
    ends: "denied-by-key-policy",
  },
  excepting("a user and its account are excepted", [ALICE.arn, ROOT], { ends: "allowed" }),
  excepting("a user without its account is not", [ALICE.arn]),
  excepting("an account without the user does not except the user", [ROOT]),
  excepting("a session with its role and account is excepted", [SESSION.arn, SESSION.roleArn, ROOT], {
    caller: SESSION,
    ends: "allowed",
  }),
  excepting("a role without the session does not except the session", [SESSION.roleArn, ROOT], { caller: SESSION }),
  excepting("nobody with a permissions boundary is excepted", [ALICE.arn, ROOT], { boundary: allow() }),
  excepting("users of other accounts are not excepted", [ALICE.arn, ROOT], {
    caller: BOB,
    identityPolicies: [allow()],
  }),
];
