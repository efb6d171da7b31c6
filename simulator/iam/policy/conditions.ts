/**
 * Condition blocks (IAM User Guide, "IAM JSON policy elements: Condition"), compiled to closures. All operators, the
 * suffix IfExists and the set operators ForAllValues and ForAnyValue; an operator that IAM does not have is a malformed
 * policy. Within a block everything must hold; of one key's values any may match (for negated operators, none).
 */
import { BlockList, isIP } from "node:net";
import { malformedPolicy } from "../../errors.js";
import { compileGlob } from "./glob.js";

/** What a request says about itself: values by lower-case condition key. A key that is not there has no value. */
export type ConditionValues = ReadonlyMap<string, readonly string[]>;

/** Whether a request's values satisfy a condition block. */
export type Condition = (values: ConditionValues) => boolean;

/** The block as it stands in the policy: operator → key → wanted values. */
export type ConditionBlock = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** A test of one actual value, made from one wanted value. */
type Test = (actual: string) => boolean;
type TestMaker = (wanted: string) => Test;

interface Operator {
  readonly make: TestMaker;
  readonly negated: boolean;
}

/** Compiles a block. @throws AwsError MalformedPolicyDocumentException */
export function compileConditions(block: ConditionBlock): Condition {
  const conditions = Object.entries(block).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, wanted]) => compileCondition(operator, key.toLowerCase(), wanted)),
  );
  return (values) => conditions.every((condition) => condition(values));
}

function compileCondition(name: string, key: string, wanted: readonly string[]): Condition {
  if (wanted.length === 0) throw malformedPolicy(`The condition ${name} on ${key} has no value.`);
  if (name === "Null") return compileNull(key, wanted);
  const parts = /^(ForAllValues:|ForAnyValue:)?([A-Za-z]+?)(IfExists)?$/.exec(name);
  const operator = OPERATORS.get(parts?.[2] ?? "");
  if (operator === undefined) throw malformedPolicy(`Invalid Condition type : ${name}.`);
  const tests = wanted.map((value) => operator.make(literalOf(value)));
  const positive: Test = (actual) => tests.some((test) => test(actual));
  const test: Test = operator.negated ? (actual) => !positive(actual) : positive;
  const ifExists = parts?.[3] !== undefined;
  return (values) => {
    const actual = values.get(key);
    if (parts?.[1] === "ForAllValues:") return (actual ?? []).every(test);
    if (actual === undefined || actual.length === 0) return ifExists || (operator.negated && parts?.[1] === undefined);
    if (parts?.[1] === "ForAnyValue:") return actual.some(test);
    return operator.negated ? actual.every(test) : actual.some(test);
  };
}

function compileNull(key: string, wanted: readonly string[]): Condition {
  const [value, ...more] = wanted.map((text) => text.toLowerCase());
  if (more.length > 0 || (value !== "true" && value !== "false")) {
    throw malformedPolicy("The Null condition takes one value, true or false.");
  }
  return (values) => ((values.get(key)?.length ?? 0) === 0) === (value === "true");
}

/** Policy variables are not evaluated yet. A statement that has one is refused, for it would silently mean something else. */
function literalOf(value: string): string {
  if (value.includes("${")) throw malformedPolicy("Policy variables are not supported by this simulated KMS.");
  return value;
}

const foldCase = (text: string): string => text.toLowerCase();

const equals: TestMaker = (wanted) => (actual) => actual === wanted;
const equalsIgnoreCase: TestMaker = (wanted) => {
  const folded = foldCase(wanted);
  return (actual) => foldCase(actual) === folded;
};

const bool: TestMaker = (wanted) => {
  if (!/^(true|false)$/i.test(wanted)) throw malformedPolicy("A Bool condition takes true or false.");
  return equalsIgnoreCase(wanted);
};

const binary: TestMaker = (wanted) => (actual) => Buffer.from(actual, "base64").equals(Buffer.from(wanted, "base64"));

/** ARNs are compared part by part, so that a wildcard never crosses a colon of the first five. */
const arn: TestMaker = (wanted) => {
  const patterns = splitArn(wanted);
  if (patterns === undefined) throw malformedPolicy(`The value ${wanted} is not an ARN.`);
  const tests = patterns.map(compileGlob);
  return (actual) => splitArn(actual)?.every((part, i) => tests[i]?.(part)) ?? false;
};

function splitArn(text: string): string[] | undefined {
  if (text === "*") return Array.from({ length: 6 }, () => "*");
  const parts = text.split(":");
  return parts.length < 6 ? undefined : [...parts.slice(0, 5), parts.slice(5).join(":")];
}

/** A comparison of numbers that `read` makes of both texts; what is no number never matches. */
function compare(read: (text: string) => number, holds: (actual: number, wanted: number) => boolean): TestMaker {
  return (text) => {
    const wanted = read(text);
    if (Number.isNaN(wanted)) throw malformedPolicy(`The value ${text} has the wrong type for its condition.`);
    return (actual) => holds(read(actual), wanted);
  };
}

const readNumber = (text: string): number => (/^[-+]?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN);
/** ISO 8601, or seconds since 1970. */
const readDate = (text: string): number => (/^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text));

const ipAddress: TestMaker = (wanted) => {
  const [address = "", prefix] = wanted.split("/");
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  const longest = family === "ipv6" ? 128 : 32;
  const length = prefix === undefined ? longest : readNumber(prefix);
  if (isIP(address) === 0 || !(length >= 0 && length <= longest)) {
    throw malformedPolicy(`The value ${wanted} is not an IP address or range.`);
  }
  const list = new BlockList();
  list.addSubnet(address, length, family);
  return (actual) => isIP(actual) !== 0 && list.check(actual, isIP(actual) === 6 ? "ipv6" : "ipv4");
};

const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...pair("StringEquals", "StringNotEquals", equals),
  ...pair("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", equalsIgnoreCase),
  ...pair("StringLike", "StringNotLike", compileGlob),
  ...pair("ArnEquals", "ArnNotEquals", arn),
  ...pair("ArnLike", "ArnNotLike", arn),
  ...pair("IpAddress", "NotIpAddress", ipAddress),
  ...comparisons("Numeric", readNumber),
  ...comparisons("Date", readDate),
  only("Bool", bool),
  only("BinaryEquals", binary),
]);

function only(name: string, make: TestMaker, negated = false): [string, Operator] {
  return [name, { make, negated }];
}

function pair(name: string, negatedName: string, make: TestMaker): [string, Operator][] {
  return [only(name, make), only(negatedName, make, true)];
}

function comparisons(prefix: string, read: (text: string) => number): [string, Operator][] {
  return [
    ...pair(
      `${prefix}Equals`,
      `${prefix}NotEquals`,
      compare(read, (actual, wanted) => actual === wanted),
    ),
    only(
      `${prefix}LessThan`,
      compare(read, (actual, wanted) => actual < wanted),
    ),
    only(
      `${prefix}LessThanEquals`,
      compare(read, (actual, wanted) => actual <= wanted),
    ),
    only(
      `${prefix}GreaterThan`,
      compare(read, (actual, wanted) => actual > wanted),
    ),
    only(
      `${prefix}GreaterThanEquals`,
      compare(read, (actual, wanted) => actual >= wanted),
    ),
  ];
}
