/**
 * The condition operators (IAM User Guide, "IAM JSON policy elements: Condition operators"): each makes a test of one
 * wanted value. Those that compare strings or ARNs take policy variables; the others need their value when the policy is
 * put, and refuse what is none.
 */
import { BlockList, isIP } from "node:net";
import { malformedPolicy } from "../../errors.js";
import type { Test } from "./pattern.js";
import { compilePattern } from "./pattern.js";
import type { ResolvedPiece } from "./template.js";
import { literalText } from "./template.js";

export interface Operator {
  readonly make: (wanted: readonly ResolvedPiece[]) => Test;
  /** Matches the values that the operator of the other name does not. */
  readonly negated: boolean;
  readonly takesVariables: boolean;
}

type TextMaker = (wanted: string) => Test;

const wrongType = (value: string, type: string) => malformedPolicy(`The value ${value} is not ${type}.`);

const equals = (wanted: readonly ResolvedPiece[]): Test => {
  const text = literalText(wanted);
  return (actual) => actual === text;
};

const equalsIgnoreCase = (wanted: readonly ResolvedPiece[]): Test => {
  const text = literalText(wanted).toLowerCase();
  return (actual) => actual.toLowerCase() === text;
};

/** ARNs are compared part by part, so that a wildcard never crosses a colon of the first five. */
const arn = (wanted: readonly ResolvedPiece[]): Test => {
  if (wanted.every(({ kind }) => kind === "literal")) return equals(wanted); // it is a variable and nothing else
  if (literalText(wanted) === "*") return (actual) => splitArn(actual) !== undefined;
  const tests = splitPieces(wanted)?.map(compilePattern);
  if (tests === undefined) throw wrongType(literalText(wanted), "an ARN");
  return (actual) => splitArn(actual)?.every((part, i) => tests[i]?.(part)) ?? false;
};

function splitArn(text: string): readonly string[] | undefined {
  const parts = text.split(":");
  return parts.length < 6 ? undefined : [...parts.slice(0, 5), parts.slice(5).join(":")];
}

/** The six parts of an ARN; a colon out of a variable divides nothing. */
function splitPieces(pieces: readonly ResolvedPiece[]): readonly ResolvedPiece[][] | undefined {
  const parts: ResolvedPiece[][] = [[]];
  for (const { kind, text } of pieces) {
    const texts = kind === "literal" ? [text] : text.split(":");
    for (const [i, one] of texts.entries()) {
      if (i > 0 && parts.length < 6) parts.push([]);
      else if (i > 0) parts.at(-1)?.push({ kind: "literal", text: ":" });
      parts.at(-1)?.push({ kind, text: one });
    }
  }
  return parts.length === 6 ? parts : undefined;
}

const bool: TextMaker = (wanted) => {
  const text = wanted.toLowerCase();
  if (text !== "true" && text !== "false") throw wrongType(wanted, "a Boolean");
  return (actual) => actual.toLowerCase() === text;
};

const binary: TextMaker = (wanted) => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(wanted)) throw wrongType(wanted, "base64");
  const bytes = Buffer.from(wanted, "base64");
  return (actual) => bytes.equals(Buffer.from(actual, "base64"));
};

/** A comparison of numbers that `read` makes of both texts; what is no number never matches. */
const comparison =
  (read: (text: string) => number, type: string, holds: (actual: number, wanted: number) => boolean): TextMaker =>
  (text) => {
    const wanted = read(text);
    if (Number.isNaN(wanted)) throw wrongType(text, type);
    return (actual) => holds(read(actual), wanted);
  };

const readNumber = (text: string): number => (/^[-+]?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN);

/** The forms of W3C's note on ISO 8601 (NOTE-datetime). */
const W3C_DATE = /^\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:\d\d))?)?)?$/;

/** A date of W3C's forms, of which four digits are a year, or seconds since 1970. */
function readDate(text: string): number {
  if (W3C_DATE.test(text)) return Date.parse(text);
  return /^\d+$/.test(text) ? Number(text) * 1000 : Number.NaN;
}

const ipAddress: TextMaker = (wanted) => {
  const [address = "", prefix, ...more] = wanted.split("/");
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  const longest = family === "ipv6" ? 128 : 32;
  const length = prefix === undefined ? longest : readNumber(prefix);
  if (isIP(address) === 0 || more.length > 0 || !(Number.isInteger(length) && length >= 0 && length <= longest)) {
    throw wrongType(wanted, "an IP address or range");
  }
  const list = new BlockList();
  list.addSubnet(address, length, family);
  return (actual) => isIP(actual) !== 0 && list.check(actual, isIP(actual) === 6 ? "ipv6" : "ipv4");
};

type Entry = readonly [name: string, operator: Operator];

const strings = (name: string, negatedName: string, make: Operator["make"]): readonly Entry[] => [
  [name, { make, negated: false, takesVariables: true }],
  [negatedName, { make, negated: true, takesVariables: true }],
];

function typed(name: string, make: TextMaker, negated = false): Entry {
  return [name, { make: (wanted) => make(literalText(wanted)), negated, takesVariables: false }];
}

function comparisons(name: string, read: (text: string) => number, type: string): readonly Entry[] {
  const equal = comparison(read, type, (actual, wanted) => actual === wanted);
  const ordered = {
    LessThan: (actual: number, wanted: number) => actual < wanted,
    LessThanEquals: (actual: number, wanted: number) => actual <= wanted,
    GreaterThan: (actual: number, wanted: number) => actual > wanted,
    GreaterThanEquals: (actual: number, wanted: number) => actual >= wanted,
  };
  return [
    typed(`${name}Equals`, equal),
    typed(`${name}NotEquals`, equal, true),
    ...Object.entries(ordered).map(([suffix, holds]) => typed(name + suffix, comparison(read, type, holds))),
  ];
}

/** Every operator but Null, which asks whether a key is there and compares nothing. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...strings("StringEquals", "StringNotEquals", equals),
  ...strings("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", equalsIgnoreCase),
  ...strings("StringLike", "StringNotLike", compilePattern),
  ...strings("ArnEquals", "ArnNotEquals", arn),
  ...strings("ArnLike", "ArnNotLike", arn),
  ...comparisons("Numeric", readNumber, "a number"),
  ...comparisons("Date", readDate, "a date"),
  typed("Bool", bool),
  typed("BinaryEquals", binary),
  typed("IpAddress", ipAddress),
  typed("NotIpAddress", ipAddress, true),
]);
