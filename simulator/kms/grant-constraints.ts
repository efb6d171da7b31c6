/**
 * Grant constraints (API_GrantConstraints). Names in an encryption context compare without regard to case, values with it.
 * Two names that differ only by case are one name with two values.
 */
import { isDeepStrictEqual } from "node:util";
import type { ConditionValues } from "../iam/policy/values.js";
import type { EncryptionContext } from "./encryption-context.js";

export interface GrantConstraints {
  /** Pairs that the request's encryption context must have, among others. */
  readonly encryptionContextSubset?: EncryptionContext | undefined;
  /** The request's whole encryption context. */
  readonly encryptionContextEquals?: EncryptionContext | undefined;
  /** The resource on whose behalf the request is made, as in `aws:SourceArn`. */
  readonly sourceArn?: string | undefined;
}

/** Values, sorted, by lower-case name. */
type Pairs = ReadonlyMap<string, readonly string[]>;

const CONTEXT_PREFIX = "kms:encryptioncontext:";
/** Management operations have no encryption context; CreateGrant is held to the terms of the new grant instead. */
const WITHOUT_CONTEXT: ReadonlySet<string> = new Set(["DescribeKey", "CreateGrant", "RetireGrant"]);

/** Whether a request for `operation` with these values satisfies the constraints. */
export function areSatisfied(constraints: GrantConstraints, operation: string, values: ConditionValues): boolean {
  const { encryptionContextSubset: subset, encryptionContextEquals: equals, sourceArn } = constraints;
  if (sourceArn !== undefined && !isOnBehalfOf(sourceArn, operation, values)) return false;
  if ((subset === undefined && equals === undefined) || WITHOUT_CONTEXT.has(operation)) return true;
  const actual = requestPairs(values);
  return (
    (subset === undefined || includes(actual, pairsOf(subset))) &&
    (equals === undefined || same(actual, pairsOf(equals)))
  );
}

/** DescribeKey is bound only where the request says on whose behalf it is made. */
function isOnBehalfOf(sourceArn: string, operation: string, values: ConditionValues): boolean {
  const actual = values.get("aws:sourcearn") ?? [];
  return actual.length === 0 ? operation === "DescribeKey" : actual.every((one) => one === sourceArn);
}

/** Whether every request that satisfies `constraints` satisfies `parent` as well. */
export function areAsStrict(constraints: GrantConstraints, parent: GrantConstraints): boolean {
  const { encryptionContextSubset: subset, encryptionContextEquals: equals, sourceArn } = parent;
  const [ownSubset, ownEquals] = [constraints.encryptionContextSubset, constraints.encryptionContextEquals];
  const demands = (own: EncryptionContext | undefined, wanted: EncryptionContext): boolean =>
    own !== undefined && includes(pairsOf(own), pairsOf(wanted));
  return (
    (sourceArn === undefined || constraints.sourceArn === sourceArn) &&
    (subset === undefined || demands(ownSubset, subset) || demands(ownEquals, subset)) &&
    (equals === undefined || (ownEquals !== undefined && same(pairsOf(ownEquals), pairsOf(equals))))
  );
}

const requestPairs = (values: ConditionValues): Pairs =>
  new Map(
    [...values]
      .filter(([key]) => key.startsWith(CONTEXT_PREFIX))
      .map(([key, value]) => [key.slice(CONTEXT_PREFIX.length), [...value].sort()]),
  );

function pairsOf(context: EncryptionContext): Pairs {
  const pairs = new Map<string, readonly string[]>();
  for (const [name, value] of context) {
    const folded = name.toLowerCase();
    pairs.set(folded, [...(pairs.get(folded) ?? []), value].sort());
  }
  return pairs;
}

const includes = (actual: Pairs, wanted: Pairs): boolean =>
  [...wanted].every(([name, values]) => values.every((value) => actual.get(name)?.includes(value) ?? false));

const same = (one: Pairs, other: Pairs): boolean =>
  one.size === other.size && [...one].every(([name, values]) => isDeepStrictEqual(values, other.get(name)));
