/** Policy variables: where they stand, what they become, and what becomes of them without a value. */
import type { PolicyCase } from "./case.js";
import { allow, deny } from "./case.js";
import {
  VARIABLES,
  VARIABLES_DEFAULT,
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
    name: "a variable without a value makes the statement match nothing",
    source: VARIABLES,
    identityPolicies: [about(key(`\${aws:username}*`))],
    resource: key("alice"),
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "nor does a deny match whose variable has no value",
    source: VARIABLES,
    identityPolicies: [[allow(), deny({ NotResource: key(`\${aws:username}`), Resource: undefined })]],
    resource: key("alice"),
    ends: "allowed",
  },
  {
    name: "a negated condition with a variable without a value is not met",
    source: VARIABLES,
    identityPolicies: [when({ StringNotEquals: { "kms:RequestAlias": `alias/\${aws:PrincipalTag/team}` } })],
    values: { "kms:RequestAlias": "alias/payroll" },
    ends: "not-allowed-by-identity-policy",
  },
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
