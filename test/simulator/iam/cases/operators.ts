/** Condition operators, one at a time: what they compare, and how. */
import type { PolicyCase, Source } from "./case.js";
import { conditionCase } from "./case.js";
import { ARN, BINARY, BOOL, DATE, IF_EXISTS, IP, MISSING_KEY, NULL, NUMERIC, STRING } from "./sources.js";

const KEY = "kms:EncryptionContext:Purpose";

/** Operator, wanted value or values, the request's value (undefined: none), whether the condition holds. */
type Row = readonly [operator: string, wanted: unknown, actual: string | undefined, holds: boolean];

const rows = (source: Source, key: string, ...table: readonly Row[]): readonly PolicyCase[] =>
  table.map(([operator, wanted, actual, holds]) =>
    conditionCase(source, `${operator} ${JSON.stringify(wanted)} of ${actual ?? "a key that is not there"}: ${holds}`, [
      { [operator]: { [key]: wanted } },
      actual === undefined ? {} : { [key]: actual },
      holds,
    ]),
  );

const role = "arn:aws:iam::111122223333:role/examplerole";
const storeArn = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt";

export const OPERATOR_CASES: readonly PolicyCase[] = [
  ...rows(
    STRING,
    KEY,
    ["StringEquals", "Test", "Test", true],
    ["StringEquals", "Test", "test", false],
    ["StringEquals", "T*", "Test", false],
    ["StringEquals", ["Prod", "Test"], "Test", true],
    ["StringNotEquals", "Test", "Prod", true],
    ["StringNotEquals", "Test", "Test", false],
    ["StringEqualsIgnoreCase", "TEST", "test", true],
    ["StringEqualsIgnoreCase", "TEST", "tests", false],
    ["StringNotEqualsIgnoreCase", "TEST", "test", false],
    ["StringNotEqualsIgnoreCase", "TEST", "prod", true],
    ["StringLike", "T?st*", "Test and more", true],
    ["StringLike", "T?st", "Tst", false],
    ["StringLike", "t*", "Test", false],
    ["StringLike", "Te", "Test", false],
    ["StringNotLike", "T*", "Test", false],
    ["StringNotLike", "T*", "Prod", true],
  ),
  ...rows(
    NUMERIC,
    "aws:MultiFactorAuthAge",
    ["NumericEquals", "10", "10", true],
    ["NumericEquals", "10", "10.0", true],
    ["NumericEquals", 10, "11", false],
    ["NumericNotEquals", "10", "11", true],
    ["NumericLessThan", "10", "10", false],
    ["NumericLessThanEquals", "10", "10", true],
    ["NumericGreaterThan", "10", "9.5", false],
    ["NumericGreaterThan", "9", "10", true],
    ["NumericGreaterThanEquals", "10", "10", true],
    ["NumericLessThan", "10", "nine", false],
  ),
  ...rows(
    DATE,
    "aws:CurrentTime",
    ["DateLessThan", "2026-07-01T00:00:00Z", "2026-06-30T23:59:59Z", true],
    ["DateLessThan", "2026-07-01", "2026-07-01T00:00:00Z", false],
    ["DateLessThanEquals", "2026-07-01", "2026-07-01T00:00:00Z", true],
    ["DateGreaterThan", "2026-04-01T00:00:00+02:00", "2026-03-31T22:00:01Z", true],
    ["DateGreaterThanEquals", "2026", "2026-01-01T00:00:00Z", true],
    ["DateEquals", "1767225600", "2026-01-01T00:00:00Z", true],
    ["DateNotEquals", "2026-01-01", "2026-01-01T00:00:00Z", false],
  ),
  ...rows(
    BOOL,
    "aws:SecureTransport",
    ["Bool", "true", "true", true],
    ["Bool", true, "true", true],
    ["Bool", "true", "false", false],
    ["Bool", "false", "false", true],
  ),
  ...rows(
    BINARY,
    "kms:Binary",
    ["BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", true],
    ["BinaryEquals", "QmluYXJ5VmFsdWVJbkJhc2U2NA==", "QmluYXJ5", false],
  ),
  ...rows(
    IP,
    "aws:SourceIp",
    ["IpAddress", "203.0.113.0/24", "203.0.113.255", true],
    ["IpAddress", "203.0.113.0/24", "203.0.114.0", false],
    ["IpAddress", "203.0.113.7", "203.0.113.7", true],
    ["IpAddress", "203.0.113.7", "203.0.113.8", false],
    ["IpAddress", ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::1", true],
    ["IpAddress", "2001:DB8:1234:5678::/64", "203.0.113.1", false],
    ["NotIpAddress", "203.0.113.0/24", "203.0.113.1", false],
    ["NotIpAddress", "203.0.113.0/24", "198.51.100.1", true],
  ),
  ...rows(
    ARN,
    "aws:SourceArn",
    ["ArnEquals", role, role, true],
    ["ArnEquals", "arn:aws:iam::111122223333:role/*", role, true],
    ["ArnLike", "arn:aws:iam::*:role/example????", role, true],
    ["ArnLike", "arn:aws:IAM::*:role/examplerole", role, false],
    ["ArnLike", "arn:aws:someservice:*:111122223333:finance/*", storeArn, false],
    ["StringLike", "arn:aws:someservice:*:111122223333:finance/*", storeArn, true],
    ["ArnNotEquals", role, `${role}2`, true],
    ["ArnNotLike", "arn:aws:iam::*:role/*", role, false],
  ),
  ...rows(
    MISSING_KEY,
    KEY,
    ["StringEquals", "Test", undefined, false],
    ["StringLike", "*", undefined, false],
    ["StringNotEquals", "Test", undefined, true],
    ["StringNotLike", "*", undefined, true],
    ["ArnNotLike", "arn:aws:iam::*:role/*", undefined, true],
    ["NumericNotEquals", "1", undefined, true],
    ["DateGreaterThan", "2020-01-01", undefined, false],
    ["Bool", "false", undefined, false],
    ["NotIpAddress", "203.0.113.0/24", undefined, true],
  ),
  ...rows(
    IF_EXISTS,
    KEY,
    ["StringEqualsIfExists", "Test", undefined, true],
    ["StringEqualsIfExists", "Test", "Prod", false],
    ["StringLikeIfExists", "T*", "Test", true],
    ["StringNotEqualsIfExists", "Test", undefined, true],
    ["BoolIfExists", "true", undefined, true],
    ["NumericLessThanIfExists", "3600", "3601", false],
    ["IpAddressIfExists", "203.0.113.0/24", undefined, true],
    ["ForAnyValue:StringEqualsIfExists", "Test", undefined, true],
  ),
  ...rows(
    NULL,
    "aws:TokenIssueTime",
    ["Null", "true", undefined, true],
    ["Null", "true", "2026-01-01T00:00:00Z", false],
    ["Null", "false", "2026-01-01T00:00:00Z", true],
    ["Null", false, undefined, false],
  ),
];
