/**
 * Slices of a policy set: for a request, the policies whose scope it matches (scope.ts), which decide it as the whole set
 * would. Cedar copies the set for every decision, so a decision costs by the size of its slice.
 *
 * Slices are made when they are first needed, one for each different choice of policies, and kept: which ones there can be
 * follows from the configuration alone. Together they hold a bounded number of policies. Once they are full, requests
 * without a slice are decided by the whole set: slower, never wrong, and nobody can make the enclave parse again and again.
 */
import type { CedarStore } from "./cedar.js";
import type { StaticPolicy } from "./policy-text.js";
import type { ScopedEntity } from "./scope.js";
import { matches } from "./scope.js";

/** About 3.5 kB each in Cedar's memory. */
const MAX_KEPT_POLICIES = 10_000;

const WHOLE = "whole";

/** The entities of a request that scopes speak of. */
export interface ScopedRequest {
  readonly principal: ScopedEntity;
  readonly action: ScopedEntity;
  readonly resource: ScopedEntity;
}

export class PolicySlices {
  readonly #store: Pick<CedarStore, "keep">;
  readonly #policies: readonly StaticPolicy[];
  readonly #maxKept: number;
  /** The policies for an action, whatever else a request says, by the action's name. */
  readonly #byAction = new Map<string, readonly StaticPolicy[]>();
  /** The names of sets in the store, by the ids of their policies. */
  readonly #sets = new Map<string, string>();
  #kept = 0;

  constructor(store: Pick<CedarStore, "keep">, policies: readonly StaticPolicy[], maxKept = MAX_KEPT_POLICIES) {
    this.#store = store;
    this.#policies = policies;
    this.#maxKept = maxKept;
    store.keep(WHOLE, policies);
    this.#sets.set(keyOf(policies), WHOLE);
  }

  /** The set in the store that decides a request as all policies would. Actions are the ones served, not what a caller names. */
  setFor({ principal, action, resource }: ScopedRequest): string {
    const slice = this.#ofAction(action).filter(
      ({ scope }) => matches(scope.principal, principal) && matches(scope.resource, resource),
    );
    const key = keyOf(slice);
    return this.#sets.get(key) ?? this.#keep(slice, key);
  }

  #ofAction(action: ScopedEntity): readonly StaticPolicy[] {
    const known = this.#byAction.get(action.name);
    if (known !== undefined) return known;
    const policies = this.#policies.filter(({ scope }) => matches(scope.action, action));
    this.#byAction.set(action.name, policies);
    return policies;
  }

  #keep(slice: readonly StaticPolicy[], key: string): string {
    if (this.#kept + slice.length > this.#maxKept) return WHOLE;
    const set = `slice${this.#sets.size}`;
    this.#store.keep(set, slice);
    this.#sets.set(key, set);
    this.#kept += slice.length;
    return set;
  }
}

/** Ids have no commas. */
const keyOf = (policies: readonly StaticPolicy[]): string => policies.map(({ id }) => id).join();
