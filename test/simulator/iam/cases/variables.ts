/** Policy variables: where they stand, what they become, and what becomes of them without a value. */
import type { PolicyCase } from "./case.js";
import { allow, deny } from "./case.js";
import {
  VARIABLES,
  VARIABLES_DEFAULT,
  VARIABLES_NO_VALUE,
  VARIABLES_SPECIAL,
  VARIABLES_TAGS,
  VARIABLES_WHERE,
  VERSION,
} from "./sources.js";

const ALIAS = "arn:aws:kms:us-west-2:111122223333:alias";
const key = (name: string) => `arn:aws:kms:us-west-2:111122223333:key/${name}`;

/** An identity policy's statement about one resource, or with one condition. */
const about = (Resource: string) => [allow({ Resource })];
const when = (Condition: object) => [allow({ Condition })];

/** A condition on the request's alias, of which the tag `team` of the caller has no value: whether it holds. */
const withoutTeam = (
  operator: string,
  wanted: string | readonly string[],
  { actual, holds }: { readonly actual?: string | readonly string[]; readonly holds: boolean },
): PolicyCase => ({
  name: `${operator} ${wanted} without a value, of ${actual ?? "no key"}: ${holds}`,
  source: VARIABLES_NO_VALUE,
  identityPolicies: [when({ [operator]: { "kms:RequestAlias": wanted } })],
  ...(actual !== undefined && { values: { "kms:RequestAlias": actual } }),
  ends: holds ? "allowed" : "not-allowed-by-identity-policy",
});
const TEAM = `alias/\${aws:PrincipalTag/team}`;
const TEAM_ROLE = `arn:aws:iam::*:role/\${aws:PrincipalTag/team}`;

export const VARIABLE_CASES: readonly PolicyCase[] = [
  {
    name: "a variable in Resource becomes the request's value",
    source: VARIABLES,
    identityPolicies: [about(key(`\${aws:username}`))],
    resource: key("alice"),
    values: { "aws:username": "alice" },
    ends: "allowed",
  },
  {
    name: "a variable in Resource matches nobody else's",
    source: VARIABLES,
    identityPolicies: [about(key(`\${aws:username}`))],
    resource: key("bob"),
    values: { "aws:username": "alice" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "a variable may be part of a name, and a wildcard beside it keeps its meaning",
    source: VARIABLES,
    identityPolicies: [about(key(`\${aws:username}-*`))],
    resource: key("alice-1"),
    values: { "aws:username": "alice" },
    ends: "allowed",
  },
  {
    name: "a resource whose variable has no value matches none",
    source: VARIABLES_NO_VALUE,
    identityPolicies: [about(key(`\${aws:username}*`))],
    resource: key("alice"),
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "and the other resources of its list still match",
    source: VARIABLES_NO_VALUE,
    identityPolicies: [allow({ Resource: [key(`\${aws:username}`), key("alice")] })],
    resource: key("alice"),
    ends: "allowed",
  },
  {
    name: "a deny of all but a resource whose variable has no value denies all",
    source: VARIABLES_NO_VALUE,
    identityPolicies: [[allow(), deny({ NotResource: key(`\${aws:username}`), Resource: undefined })]],
    resource: key("alice"),
    ends: "denied-by-identity-policy",
  },
  {
    name: "but not the other resources that it excepts",
    source: VARIABLES_NO_VALUE,
    identityPolicies: [[allow(), deny({ NotResource: [key(`\${aws:username}`), key("alice")], Resource: undefined })]],
    resource: key("alice"),
    ends: "allowed",
  },
  {
    name: "a deny under a negated condition stays in force when its variable has no value",
    source: VARIABLES_NO_VALUE,
    identityPolicies: [[allow(), deny({ Condition: { StringNotEquals: { "kms:RequestAlias": TEAM } } })]],
    values: { "kms:RequestAlias": "alias/payroll" },
    ends: "denied-by-identity-policy",
  },
  {
    name: "a variable with several values has none",
    source: VARIABLES_NO_VALUE,
    identityPolicies: [when({ StringLike: { "kms:RequestAlias": `alias/\${kms:EncryptionContextKeys}` } })],
    values: { "kms:RequestAlias": "alias/a", "kms:EncryptionContextKeys": ["a", "b"] },
    ends: "not-allowed-by-identity-policy",
  },
  withoutTeam("StringEquals", TEAM, { actual: "alias/a", holds: false }),
  withoutTeam("StringEquals", [TEAM, "alias/a"], { actual: "alias/a", holds: true }),
  withoutTeam("StringEquals", [TEAM, "alias/a"], { actual: "alias/b", holds: false }),
  withoutTeam("StringLike", TEAM, { actual: "alias/", holds: false }),
  withoutTeam("ArnLike", TEAM_ROLE, { actual: "arn:aws:iam::111122223333:role/", holds: false }),
  withoutTeam("StringNotEquals", TEAM, { actual: "alias/a", holds: true }),
  withoutTeam("StringNotEquals", [TEAM, "alias/a"], { actual: "alias/a", holds: false }),
  withoutTeam("StringNotLike", TEAM, { actual: "alias/a", holds: true }),
  withoutTeam("StringNotEqualsIgnoreCase", TEAM, { actual: "alias/a", holds: true }),
  withoutTeam("ArnNotLike", TEAM_ROLE, { actual: "arn:aws:iam::111122223333:role/a", holds: true }),
  withoutTeam("StringNotEquals", TEAM, { holds: true }),
  withoutTeam("StringEqualsIfExists", TEAM, { actual: "alias/a", holds: false }),
  withoutTeam("StringNotEqualsIfExists", TEAM, { actual: "alias/a", holds: true }),
  withoutTeam("ForAllValues:StringEquals", TEAM, { holds: true }),
  withoutTeam("ForAllValues:StringEquals", TEAM, { actual: ["alias/a", "alias/b"], holds: false }),
  withoutTeam("ForAnyValue:StringNotEquals", [TEAM, "alias/a"], { actual: ["alias/a", "alias/b"], holds: true }),
  {
    name: "IfExists keeps a statement with a variable in force when its key is not there",
    source: VARIABLES,
    identityPolicies: [when({ StringEqualsIfExists: { "kms:RequestAlias": `alias/\${aws:PrincipalTag/team}` } })],
    ends: "allowed",
  },
  {
    name: "in the earlier version of the language a variable is text",
    source: VERSION,
    version: "2008-10-17",
    identityPolicies: [about(key(`\${aws:username}`))],
    resource: key("alice"),
    values: { "aws:username": "alice" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "and equals itself",
    source: VERSION,
    version: "2008-10-17",
    identityPolicies: [when({ StringEquals: { "kms:EncryptionContext:user": `\${aws:username}` } })],
    values: { "kms:EncryptionContext:user": `\${aws:username}` },
    ends: "allowed",
  },
  {
    name: "a variable in a string condition",
    source: VARIABLES_WHERE,
    identityPolicies: [when({ StringEquals: { "kms:EncryptionContext:user": `\${aws:username}` } })],
    values: { "kms:EncryptionContext:user": "alice", "aws:username": "alice" },
    ends: "allowed",
  },
  {
    name: "a variable in a string condition that another value does not match",
    source: VARIABLES_WHERE,
    identityPolicies: [when({ StringLike: { "kms:EncryptionContext:user": `\${aws:username}*` } })],
    values: { "kms:EncryptionContext:user": "bob", "aws:username": "alice" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "a variable in an ARN condition",
    source: VARIABLES_WHERE,
    identityPolicies: [when({ ArnLike: { "aws:PrincipalArn": `arn:aws:iam::*:user/\${kms:EncryptionContext:user}` } })],
    values: { "kms:EncryptionContext:user": "alice", "aws:PrincipalArn": "arn:aws:iam::111122223333:user/alice" },
    ends: "allowed",
  },
  {
    name: "a wildcard within a variable's value is an ordinary character",
    source: VARIABLES_WHERE,
    identityPolicies: [when({ StringLike: { "kms:EncryptionContext:user": `\${aws:PrincipalTag/user}` } })],
    values: { "kms:EncryptionContext:user": "alice", "aws:PrincipalTag/user": "*" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "tags of the caller and of the key are the same",
    source: VARIABLES_TAGS,
    identityPolicies: [when({ StringEquals: { "aws:ResourceTag/team": `\${aws:PrincipalTag/team}` } })],
    values: { "aws:ResourceTag/team": "yellow", "aws:PrincipalTag/team": "yellow" },
    ends: "allowed",
  },
  {
    name: "tags of the caller and of the key differ",
    source: VARIABLES_TAGS,
    identityPolicies: [when({ StringEquals: { "aws:ResourceTag/team": `\${aws:PrincipalTag/team}` } })],
    values: { "aws:ResourceTag/team": "yellow", "aws:PrincipalTag/team": "green" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "a default value stands in for a tag that the caller does not have",
    source: VARIABLES_DEFAULT,
    identityPolicies: [about(`${ALIAS}/\${aws:PrincipalTag/team, 'company-wide'}`)],
    keyPolicy: null,
    action: "kms:CreateAlias",
    resource: `${ALIAS}/company-wide`,
    ends: "allowed",
  },
  {
    name: "but not for one that it has",
    source: VARIABLES_DEFAULT,
    identityPolicies: [about(`${ALIAS}/\${aws:PrincipalTag/team, 'company-wide'}`)],
    keyPolicy: null,
    action: "kms:CreateAlias",
    resource: `${ALIAS}/company-wide`,
    values: { "aws:PrincipalTag/team": "yellow" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: `\${*} is an asterisk`,
    source: VARIABLES_SPECIAL,
    identityPolicies: [when({ StringLike: { "kms:EncryptionContext:path": `\${*}/*` } })],
    values: { "kms:EncryptionContext:path": "*/anything" },
    ends: "allowed",
  },
  {
    name: `\${*} matches nothing but an asterisk`,
    source: VARIABLES_SPECIAL,
    identityPolicies: [when({ StringLike: { "kms:EncryptionContext:path": `\${*}/*` } })],
    values: { "kms:EncryptionContext:path": "a/anything" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: `\${?} and \${$} are a question mark and a dollar sign`,
    source: VARIABLES_SPECIAL,
    identityPolicies: [when({ StringEquals: { "kms:EncryptionContext:price": `\${$}5\${?}` } })],
    values: { "kms:EncryptionContext:price": "$5?" },
    ends: "allowed",
  },
];
