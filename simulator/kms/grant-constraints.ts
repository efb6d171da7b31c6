/**
 * Grant constraints (API_GrantConstraints). Names in an encryption context compare without regard to case, values with it.
 * Two names that differ only by case are one name with two values.
 */
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

const CONTEXT_PREFIX = "kms:encryptioncontext:";
/** Management operations have no encryption context; CreateGrant is held to the terms of the new grant instead. */
const WITHOUT_CONTEXT: ReadonlySet<string> = new Set(["DescribeKey", "CreateGrant", "RetireGrant"]);

/**
 * Whether constraints are satisfied by a request for `operation` with these values. A key can have many grants: of the
 * request is made once what all of them are held against.
 */
export function satisfiedBy(operation: string, values: ConditionValues): (constraints: GrantConstraints) => boolean {
  let actual: Pairs | undefined;
  return ({ encryptionContextSubset: subset, encryptionContextEquals: equals, sourceArn }) => {
    if (sourceArn !== undefined && !isOnBehalfOf(sourceArn, operation, values)) return false;
    if ((subset === undefined && equals === undefined) || WITHOUT_CONTEXT.has(operation)) return true;
    actual ??= new Pairs(requestPairs(values));
    return (subset === undefined || actual.include(subset)) && (equals === undefined || actual.equal(equals));
  };
}

/** DescribeKey is bound only where the request says on whose behalf it is made. */
function isOnBehalfOf(sourceArn: string, operation: string, values: ConditionValues): boolean {
  const actual = values.get("aws:sourcearn") ?? [];
  return actual.length === 0 ? operation === "DescribeKey" : actual.every((one) => one === sourceArn);
}

/** Whether every request that satisfies `constraints` satisfies the constraints that the answer is asked about. */
export function asStrictAs(constraints: GrantConstraints): (parent: GrantConstraints) => boolean {
  const subset = new Pairs(constraints.encryptionContextSubset ?? []);
  const equals = new Pairs(constraints.encryptionContextEquals ?? []);
  const isWhole = constraints.encryptionContextEquals !== undefined;
  return (parent) => {
    const { encryptionContextSubset: wanted, encryptionContextEquals: wantedWhole, sourceArn } = parent;
    return (
      (sourceArn === undefined || constraints.sourceArn === sourceArn) &&
      (wanted === undefined || subset.include(wanted) || equals.include(wanted)) &&
      (wantedWhole === undefined || (isWhole && equals.equal(wantedWhole)))
    );
  };
}

function* requestPairs(values: ConditionValues): Iterable<readonly [name: string, value: string]> {
  for (const [key, some] of values) {
    if (key.startsWith(CONTEXT_PREFIX)) for (const value of some) yield [key.slice(CONTEXT_PREFIX.length), value];
  }
}

/** An encryption context, to be compared with many others. */
class Pairs {
  /** How often each value is there, by lower-case name. */
  readonly #counts = new Map<string, Map<string, number>>();
  readonly #size: number;

  constructor(pairs: Iterable<readonly [name: string, value: string]>) {
    let size = 0;
    for (const [name, value] of pairs) {
      const folded = name.toLowerCase();
      const counts = this.#counts.get(folded) ?? new Map<string, number>();
      this.#counts.set(folded, counts.set(value, (counts.get(value) ?? 0) + 1));
      size += 1;
    }
    this.#size = size;
  }

  /** Whether every pair of `context` is there. */
  include(context: EncryptionContext): boolean {
    for (const [name, value] of context) if (!this.#counts.get(name.toLowerCase())?.has(value)) return false;
    return true;
  }

  /** Whether there are the same pairs, each as often. */
  equal(context: EncryptionContext): boolean {
    return this.#size === context.size && this.include(context) && this.#isWithin(new Pairs(context));
  }

  #isWithin(others: Pairs): boolean {
    return [...this.#counts].every(([name, counts]) =>
      [...counts].every(([value, count]) => others.#counts.get(name)?.get(value) === count),
    );
  }
}
