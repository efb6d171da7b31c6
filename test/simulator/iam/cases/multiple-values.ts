/** Several keys, several wanted values, several values of a request. */
import type { PolicyCase, Source } from "./case.js";
import { ALICE, allow, conditionCase, deny } from "./case.js";
import { MULTIPLE_VALUES, NULL, SINGLE_OR_MULTIPLE } from "./sources.js";

const KEYS = "kms:EncryptionContextKeys";

/** Operator, wanted values, the request's values, whether the condition holds. */
type Row = readonly [
  operator: string,
  wanted: readonly string[],
  actual: readonly string[] | undefined,
  holds: boolean,
];

const rows = (source: Source, ...table: readonly Row[]): readonly PolicyCase[] =>
  table.map(([operator, wanted, actual, holds]) =>
    conditionCase(source, `${operator} [${wanted}] of ${actual === undefined ? "no key" : `[${actual}]`}: ${holds}`, [
      { [operator]: { [KEYS]: wanted } },
      actual === undefined ? {} : { [KEYS]: actual },
      holds,
    ]),
  );

const tags = {
  StringEqualsIgnoreCase: {
    "aws:PrincipalTag/department": ["finance", "hr", "legal"],
    "aws:PrincipalTag/role": ["audit", "security"],
  },
  StringEquals: { "aws:PrincipalAccount": "123456789012" },
};
const principal = {
  "aws:PrincipalTag/department": "HR",
  "aws:PrincipalTag/role": "audit",
  "aws:PrincipalAccount": "123456789012",
};

export const MULTIPLE_VALUE_CASES: readonly PolicyCase[] = [
  ...rows(
    SINGLE_OR_MULTIPLE,
    ["ForAllValues:StringEquals", ["AppName", "Purpose"], ["AppName"], true],
    ["ForAllValues:StringEquals", ["AppName", "Purpose"], ["AppName", "Purpose"], true],
    ["ForAllValues:StringEquals", ["AppName", "Purpose"], ["AppName", "Other"], false],
    ["ForAllValues:StringEquals", ["AppName", "Purpose"], undefined, true],
    ["ForAllValues:StringEquals", ["AppName", "Purpose"], [""], true],
    ["ForAllValues:StringLike", ["App*"], ["AppName", "AppVersion"], true],
    ["ForAllValues:StringNotEquals", ["Other"], ["AppName", "Purpose"], true],
    ["ForAllValues:StringNotEquals", ["Other"], ["AppName", "Other"], false],
    ["ForAnyValue:StringEquals", ["AppName", "Purpose"], ["Other", "Purpose"], true],
    ["ForAnyValue:StringEquals", ["AppName", "Purpose"], ["Other"], false],
    ["ForAnyValue:StringEquals", ["AppName", "Purpose"], undefined, false],
    ["ForAnyValue:StringEquals", ["AppName", ""], [""], false],
    ["ForAnyValue:StringLike", ["App*"], ["Purpose", "AppName"], true],
    ["ForAnyValue:StringNotEquals", ["AppName"], ["AppName", "Purpose"], true],
    ["ForAnyValue:StringNotEquals", ["AppName"], ["AppName"], false],
    ["ForAnyValue:StringNotEquals", ["AppName"], undefined, false],
  ),
  conditionCase(NULL, "ForAllValues beside Null is not met by a request without the key", [
    { "ForAllValues:StringEquals": { [KEYS]: ["AppName"] }, Null: { [KEYS]: "false" } },
    {},
    false,
  ]),
  conditionCase(MULTIPLE_VALUES, "several keys and operators must all hold", [tags, principal, true]),
  conditionCase(MULTIPLE_VALUES, "one key of an operator that does not match", [
    tags,
    { ...principal, "aws:PrincipalTag/role": "developer" },
    false,
  ]),
  conditionCase(MULTIPLE_VALUES, "one operator that does not match", [
    tags,
    { ...principal, "aws:PrincipalAccount": "210987654321" },
    false,
  ]),
  conditionCase(MULTIPLE_VALUES, "a negated operator matches none of several values: it is a NOR", [
    { StringNotEquals: { "aws:PrincipalAccount": ["111111111111", "222222222222"] } },
    { "aws:PrincipalAccount": "222222222222" },
    false,
  ]),
  conditionCase(MULTIPLE_VALUES, "a negated operator holds for a value outside of its list", [
    { StringNotEquals: { "aws:PrincipalAccount": ["111111111111", "222222222222"] } },
    { "aws:PrincipalAccount": "333333333333" },
    true,
  ]),
  conditionCase(MULTIPLE_VALUES, "names of condition keys have no case", [
    { StringEquals: { "AWS:principalaccount": "111122223333" } },
    { "aws:PrincipalAccount": "111122223333" },
    true,
  ]),
  {
    name: "a deny whose condition holds in part denies nothing",
    source: MULTIPLE_VALUES,
    keyPolicy: [
      allow({ Principal: { AWS: ALICE.arn } }),
      deny({
        Principal: "*",
        Condition: { StringEquals: { "aws:RequestedRegion": "eu-west-1", "aws:username": "x" } },
      }),
    ],
    values: { "aws:RequestedRegion": "eu-west-1", "aws:username": "alice" },
    ends: "allowed",
  },
];
