/**
 * What is wrong with an encryption context. It is no secret: AWS KMS writes it to CloudTrail, and the AWS Encryption SDK
 * to the head of every message, both in clear (KMS Developer Guide, "Encryption context"; Encryption SDK, "Concepts").
 *
 * A warning tells the name of a pair and never its value; where the name itself is what should not be in clear, it tells
 * the pair's place. All that is looked at is bounded, and looked at in linear time. Nothing here is a check: a context
 * without a warning may still have secrets in it that look like nothing in particular.
 */
import { isPseudonym, meaningOf, saysNothing } from "./context-lint/names.js";
import { personalDataIn } from "./context-lint/personal-data.js";
import { looksRandom } from "./context-lint/random-text.js";
import { secretIn } from "./context-lint/secrets.js";

/** Code → how much it matters. `serious` ones are to be mended; `minor` ones are to be looked at. */
export const CONTEXT_WARNINGS = {
  CONTEXT_SECRET: "serious",
  CONTEXT_PERSONAL_DATA: "serious",
  CONTEXT_PAIR_MISSING: "serious",
  CONTEXT_RESERVED_NAME: "serious",
  CONTEXT_EMPTY: "minor",
  CONTEXT_PAIR_ABSENT: "minor",
  CONTEXT_RANDOM: "minor",
  CONTEXT_NAMES_ALIKE: "minor",
  CONTEXT_LARGE: "minor",
} as const;

export type ContextWarningCode = keyof typeof CONTEXT_WARNINGS;

export interface ContextWarning {
  readonly code: ContextWarningCode;
  readonly weight: "serious" | "minor";
  /** The name of the pair; undefined where it is about the whole context, or where the name is not fit to be shown. */
  readonly pair?: string;
  /** What was found, and what to do. Never a value. */
  readonly message: string;
}

export interface ContextExpectations {
  /** Pairs that the context must have: what policies and conditions rely on. */
  readonly expectedPairs?: readonly string[];
  /** Pairs that policies ask about: without them they permit less, or forbid less. */
  readonly policyPairs?: readonly string[];
}

/** As many as the enclave takes (wire.ts). */
const MAX_PAIRS = 256;
/** Of a value, and of a name: as many as the enclave takes. What is behind them is not looked at. */
const MAX_VALUE = 8_192;
const MAX_NAME = 1_024;
/** All pairs together, in characters: each audit record and each message has them. */
const LARGE_CHARACTERS = 2_048;
const LARGE_PAIRS = 16;
const MAX_SHOWN_NAME = 128;

/**
 * Looks at one encryption context; returns warnings in the order of its pairs, those about the whole of it last.
 *
 * The context is the application's own: the pair `aws-crypto-public-key`, which the Encryption SDK adds to signed
 * messages, is to be left out before (`withoutSignaturePair`).
 */
export function lintEncryptionContext(
  context: Readonly<Record<string, string>>,
  { expectedPairs = [], policyPairs = [] }: ContextExpectations = {},
): readonly ContextWarning[] {
  const pairs = Object.entries(context);
  return [
    ...pairs.slice(0, MAX_PAIRS).flatMap(lintPair),
    ...lintNames(pairs.slice(0, MAX_PAIRS).map(([name]) => name)),
    ...lintWhole(pairs),
    ...missing(context, { names: expectedPairs, code: "CONTEXT_PAIR_MISSING", because: "policy relies on it" }),
    ...missing(context, {
      names: policyPairs.filter((name) => !expectedPairs.includes(name)),
      code: "CONTEXT_PAIR_ABSENT",
      because: "a policy asks about it",
    }),
  ];
}

/** A message's context without the pair that the Encryption SDK adds (message format, "Structure of AAD"). */
export function withoutSignaturePair(context: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(context).filter(([name]) => name !== "aws-crypto-public-key"));
}

function lintPair([name, value]: readonly [string, string], index: number): ContextWarning[] {
  const isFit = unfitness(name) === undefined;
  const subject = isFit ? `the pair ${shortened(name)}` : `pair ${index + 1}`;
  const found: Found = (code, what) => [warning(code, `${subject} ${what}`, isFit ? shortened(name) : undefined)];
  return [...lintName(name, found), ...lintValue(name, value.slice(0, MAX_VALUE), found)];
}

type Found = (code: ContextWarningCode, what: string) => ContextWarning[];

/** Why a name is not to be repeated. */
function unfitness(name: string): readonly [ContextWarningCode, string] | undefined {
  const text = name.slice(0, MAX_NAME);
  const secret = secretIn(text);
  if (secret !== undefined) return ["CONTEXT_SECRET", secret];
  const personal = personalDataIn(text);
  if (personal !== undefined) return ["CONTEXT_PERSONAL_DATA", personal];
  return looksRandom(text) ? ["CONTEXT_RANDOM", "what looks random"] : undefined;
}

function lintName(name: string, found: Found): ContextWarning[] {
  const [code, what] = unfitness(name) ?? [];
  if (code !== undefined) return found(code, `has ${what} as its name: ${CLEAR}`);
  if (!/^aws-crypto-/i.test(name)) return [];
  return found("CONTEXT_RESERVED_NAME", "has a name that the Encryption SDK keeps for itself: choose another one");
}

const CLEAR = "it is in clear in CloudTrail and in messages; use an identifier that says nothing";

function lintValue(name: string, value: string, found: Found): ContextWarning[] {
  const secret = secretIn(value);
  if (secret !== undefined) return found("CONTEXT_SECRET", `holds ${secret}: ${CLEAR}`);
  const personal = personalDataIn(value);
  if (personal !== undefined) return found("CONTEXT_PERSONAL_DATA", `holds ${personal}: ${CLEAR}`);
  const meaning = saysNothing(value) ? undefined : meaningOf(name.slice(-MAX_NAME));
  if (meaning === "secret") return found("CONTEXT_SECRET", `is named like a secret: ${CLEAR}`);
  if (meaning !== undefined && !isPseudonym(value)) {
    return found("CONTEXT_PERSONAL_DATA", `is named like personal data: ${CLEAR}`);
  }
  return looksRandom(value) ? found("CONTEXT_RANDOM", `looks random: if it is a key or a token, ${CLEAR}`) : [];
}

/** Conditions of IAM policies take no notice of the case of a context's names, the Encryption SDK does. */
function lintNames(names: readonly string[]): ContextWarning[] {
  const seen = new Map<string, string>();
  return names.flatMap((name) => {
    const folded = name.slice(0, MAX_NAME).toLowerCase();
    const other = seen.get(folded);
    seen.set(folded, name);
    if (other === undefined || [other, name].some((one) => unfitness(one) !== undefined)) return [];
    const message = `the pairs ${shortened(other)} and ${shortened(name)} differ in case alone: key policies take them for one`;
    return [warning("CONTEXT_NAMES_ALIKE", message, shortened(name))];
  });
}

function lintWhole(pairs: readonly (readonly [string, string])[]): ContextWarning[] {
  if (pairs.length === 0) {
    const message =
      "there are no pairs: nothing binds the ciphertext to what it belongs to, and policies cannot tell tenants apart";
    return [warning("CONTEXT_EMPTY", message)];
  }
  const characters = pairs.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (pairs.length <= LARGE_PAIRS && characters <= LARGE_CHARACTERS) return [];
  const message = `there are ${pairs.length} pairs of ${characters} characters: every audit record and every message carries them`;
  return [warning("CONTEXT_LARGE", message)];
}

interface Missing {
  readonly names: readonly string[];
  readonly code: ContextWarningCode;
  readonly because: string;
}

function missing(context: Readonly<Record<string, string>>, { names, code, because }: Missing): ContextWarning[] {
  return names.flatMap((name) => {
    const value = Object.hasOwn(context, name) ? context[name] : undefined;
    if (value !== undefined && value !== "") return [];
    const alike = Object.keys(context).some((other) => other !== name && other.toLowerCase() === name.toLowerCase());
    const state = value === "" ? "is empty" : alike ? "is there in another case only" : "is missing";
    return [warning(code, `the pair ${shortened(name)} ${state}: ${because}`, shortened(name))];
  });
}

const warning = (code: ContextWarningCode, message: string, pair?: string): ContextWarning => ({
  code,
  weight: CONTEXT_WARNINGS[code],
  ...(pair === undefined ? {} : { pair }),
  message,
});

const shortened = (name: string): string => (name.length > MAX_SHOWN_NAME ? `${name.slice(0, MAX_SHOWN_NAME)}…` : name);
