/**
 * Who may do what: Cedar policies of the measured configuration, decided inside the enclave. What no policy permits is
 * denied. The shape of requests, and what is checked when the enclave starts, is in docs/authorization.md.
 *
 * Cedar leaves a policy out whose conditions cannot be evaluated (a sum that overflows). For a permit that is safe; a
 * forbid that is left out would be a permission, so here a forbid that cannot be evaluated denies.
 */
import { cedarRecordOf } from "./attribute-types.js";
import type { Evaluation } from "./cedar.js";
import { CedarStore, validatePolicies } from "./cedar.js";
import type { StaticPolicy } from "./policy-text.js";
import { parsePolicies } from "./policy-text.js";
import type { Principal } from "./principal.js";
import type { DecisionRequest } from "./request.js";
import { cedarRequestOf, isUnfit, parentsOf } from "./request.js";
import type { ServedAction } from "./schema.js";
import { AuthorizationSchema } from "./schema.js";
import type { ScopedEntity } from "./scope.js";
import { scopedEntity } from "./scope.js";
import { PolicySlices } from "./slices.js";

export interface Decision {
  readonly allowed: boolean;
  /** The policies that made it: the permits that allow, or the forbids that deny. None where nothing permits. */
  readonly policyIds: readonly string[];
  /** Policies that could not be evaluated. */
  readonly failedPolicyIds: readonly string[];
  /** Why it is denied, in words of the configuration: no value of the request. */
  readonly reason?: string;
}

export interface AuthorizationPolicyOptions {
  /** Cedar schema, in its human-readable form. */
  readonly schema: string;
  /** Cedar policies. */
  readonly policies: string;
  /** Every operation that the enclave serves. */
  readonly actions: readonly ServedAction[];
}

export class AuthorizationPolicy {
  readonly #store = new CedarStore();
  readonly #schema: AuthorizationSchema;
  readonly #slices: PolicySlices;
  readonly #policies: ReadonlyMap<string, StaticPolicy>;
  readonly #actions: ReadonlyMap<string, ScopedEntity>;
  readonly #withKey: boolean;
  readonly #namesCallers: boolean;

  /**
   * Parses schema and policies, and validates them against one another and against what the enclave serves.
   * @throws ServiceError ERR_CONFIGURATION; the message names field and line, and has Cedar's own words.
   */
  constructor({ schema, policies, actions }: AuthorizationPolicyOptions) {
    this.#schema = new AuthorizationSchema(schema, this.#store, actions);
    const parsed = parsePolicies(policies);
    validatePolicies(schema, parsed);
    this.#policies = new Map(parsed.map((policy) => [policy.id, policy]));
    this.#slices = new PolicySlices(this.#store, parsed);
    this.#withKey = parsed.some(({ mentionsAliases }) => mentionsAliases);
    this.#namesCallers = parsed.some(({ mentionsCallers }) => mentionsCallers);
    this.#actions = new Map(
      actions.map(({ name }) => [name, scopedEntity({ type: "Action", id: name }, this.#schema.groupsOf(name))]),
    );
  }

  /**
   * Decides one request. A denial is an answer, not an error. It does not check that the principal's token is genuine, nor
   * that the key is the one in the ciphertext.
   * @throws TypeError when the action is not one that is served.
   */
  decide(request: DecisionRequest): Decision {
    const action = this.#actions.get(request.action);
    if (action === undefined) throw new TypeError("AuthorizationPolicy.decide: expected an action that is served");
    const asked = cedarRequestOf(this.#schema, request, { withKey: this.#withKey });
    if (isUnfit(asked)) return denied(asked.reason);
    const set = this.#slices.setFor({
      principal: scopedEntity(asked.principal, []),
      action,
      resource: scopedEntity(asked.resource, parentsOf(request.key)),
    });
    const evaluation = this.#store.evaluate(set, asked);
    return evaluation === undefined ? denied("expected a request that fits the schema") : this.#conclude(evaluation);
  }

  /**
   * A text that is alike for callers whom the policies cannot tell apart: they have the same values of the claims that the
   * schema declares, and no policy names a caller.
   */
  classOf(principal: Principal): string {
    const claims = cedarRecordOf(this.#schema.claims, principal.claims);
    const isKnownByClaims = !this.#namesCallers && claims !== undefined && claims.missing === undefined;
    return JSON.stringify(isKnownByClaims ? { claims: claims.record } : { id: principal.id, claims: principal.claims });
  }

  #conclude({ decision, policyIds, failedPolicyIds }: Evaluation): Decision {
    const failedForbids = failedPolicyIds.filter((id) => this.#policies.get(id)?.effect !== "permit");
    if (failedForbids.length > 0) {
      const forbids = decision === "deny" ? policyIds : [];
      return {
        ...denied("a policy that may forbid it could not be evaluated"),
        policyIds: [...forbids, ...failedForbids].sort(),
        failedPolicyIds,
      };
    }
    if (decision === "allow") return { allowed: true, policyIds, failedPolicyIds };
    const reason = policyIds.length > 0 ? "a policy forbids it" : "no policy permits it";
    return { ...denied(reason), policyIds, failedPolicyIds };
  }
}

const denied = (reason: string): Decision & { readonly allowed: false } => ({
  allowed: false,
  policyIds: [],
  failedPolicyIds: [],
  reason,
});
