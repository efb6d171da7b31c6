/** The grants of one Region, found by key, by whom they are for and by who may retire them, however many a key has. */
import { AwsError } from "../errors.js";
import type { PolicyQuestion } from "../iam/policy/compile.js";
import type { GrantChange, Persistence } from "./change.js";
import type { Grant, GrantTerms } from "./grant.js";
import { satisfiedBy } from "./grant-constraints.js";
import { Index } from "./grant-index.js";
import { claimedGrantId, isGenuine } from "./grant-token.js";

/** How grants are looked at in one call. */
export interface GrantView {
  readonly now: Date;
  /** Ids of the grants whose tokens the call carries. */
  readonly tokens: ReadonlySet<string>;
}

export class GrantStore {
  readonly #persistence: Persistence;
  readonly #consistencyMs: number;
  readonly #byId = new Map<string, Grant>();
  readonly #byKey = new Index<Grant>();
  /** By key and grantee: what a decision looks through. */
  readonly #byGrantee = new Index<Grant>();
  readonly #byRetiring = new Index<Grant>();
  /** By everything that a retried CreateGrant has in common with the first, for grants with a name. */
  readonly #byTerms = new Index<Grant>();
  /** Grants that have ended and count for a while yet, by id, with the time until which they do; earliest first. */
  readonly #ending = new Map<string, { readonly grant: Grant; readonly until: number }>();

  /** With `consistencySeconds` a grant begins and ends to count only so long after it was made or taken away. */
  constructor(persistence: Persistence, consistencySeconds: number) {
    this.#persistence = persistence;
    this.#consistencyMs = consistencySeconds * 1000;
  }

  /** The grants of a key, oldest first. */
  of(keyArn: string): Iterable<Grant> {
    return this.#byKey.get(keyArn);
  }

  countOf(keyArn: string): number {
    return this.#byKey.count(keyArn);
  }

  find(keyArn: string, grantId: string): Grant | undefined {
    const grant = this.#byId.get(grantId);
    return grant?.keyArn === keyArn ? grant : undefined;
  }

  /** The grants that name this retiring principal, oldest first. */
  retirableBy(principal: string): Iterable<Grant> {
    return this.#byRetiring.get(principal);
  }

  /** The grant that was made by the same request before; none for requests without a name. */
  findRepeated(grant: Grant): Grant | undefined {
    const [first] = grant.name === undefined ? [] : this.#byTerms.get(termsText(grant));
    return first;
  }

  put(grant: Grant): void {
    this.#change({ kind: "grant", grant });
  }

  /** Takes a grant away. It counts until that is known everywhere. */
  remove(grant: Grant, now: Date): void {
    this.#change({ kind: "grant-gone", keyArn: grant.keyArn, grantId: grant.grantId });
    if (this.#consistencyMs > 0) {
      this.#ending.set(grant.grantId, { grant, until: now.getTime() + this.#consistencyMs });
    }
  }

  /** Takes away the grants of a key that goes. */
  removeAllOf(keyArn: string): void {
    for (const { grantId } of this.of(keyArn)) this.#change({ kind: "grant-gone", keyArn, grantId });
  }

  /** The grant that a token is of. @throws AwsError InvalidGrantTokenException */
  redeem(token: string, now: Date): Grant {
    this.#forgetEnded(now);
    const id = claimedGrantId(token) ?? "";
    const grant = this.#byId.get(id) ?? this.#ending.get(id)?.grant;
    if (grant === undefined || !isGenuine(token, id, grant.tokenKey)) throw new AwsError("InvalidGrantTokenException");
    return grant;
  }

  /** The grants that allow what is asked to `grantee`, which is the caller, its role or its account. */
  *allowing(grantee: string, question: PolicyQuestion, { now, tokens }: GrantView): Iterable<Grant> {
    this.#forgetEnded(now);
    const operation = question.action.replace("kms:", "");
    const satisfied = satisfiedBy(operation, question.values);
    const allows = ({ operations, constraints }: GrantTerms): boolean =>
      operations.some((one) => one === operation) && satisfied(constraints);
    for (const grant of this.#byGrantee.get(granteeName(question.resource, grantee))) {
      if ((this.#isKnown(grant, now) || tokens.has(grant.grantId)) && allows(grant)) yield grant;
    }
    for (const { grant } of this.#ending.values()) {
      if (grant.keyArn === question.resource && granteeOf(grant) === grantee && allows(grant)) yield grant;
    }
  }

  /** Applies a change that was recorded before, without recording it again. */
  restore(change: GrantChange): void {
    if (change.kind === "grant") this.#set(change.grant);
    else this.#delete(change.grantId);
  }

  #change(change: GrantChange): void {
    this.restore(change);
    this.#persistence.record(change);
  }

  #set(grant: Grant): void {
    this.#byId.set(grant.grantId, grant);
    for (const [index, name] of this.#placesOf(grant)) index.add(name, grant.grantId, grant);
  }

  #delete(grantId: string): void {
    const grant = this.#byId.get(grantId);
    if (grant === undefined) return;
    this.#byId.delete(grantId);
    for (const [index, name] of this.#placesOf(grant)) index.remove(name, grantId);
  }

  *#placesOf(grant: Grant): Iterable<readonly [Index<Grant>, string]> {
    yield [this.#byKey, grant.keyArn];
    yield [this.#byGrantee, granteeName(grant.keyArn, granteeOf(grant))];
    const retiring = grant.retiringPrincipal ?? grant.retiringServicePrincipal;
    if (retiring !== undefined) yield [this.#byRetiring, retiring];
    if (grant.name !== undefined) yield [this.#byTerms, termsText(grant)];
  }

  #isKnown = ({ creationDate }: Grant, now: Date): boolean =>
    now.getTime() >= creationDate.getTime() + this.#consistencyMs;

  #forgetEnded(now: Date): void {
    for (const [grantId, { until }] of this.#ending) {
      if (until > now.getTime()) return;
      this.#ending.delete(grantId);
    }
  }
}

const granteeOf = ({ granteePrincipal, granteeServicePrincipal }: Grant): string =>
  granteePrincipal ?? granteeServicePrincipal ?? "";

const granteeName = (keyArn: string, grantee: string): string => `${keyArn} ${grantee}`;

/** Everything that two requests for one grant have in common, whatever the order of its parts. */
function termsText(grant: Grant): string {
  const { encryptionContextSubset, encryptionContextEquals, sourceArn } = grant.constraints;
  const principals = [grant.granteePrincipal, grant.granteeServicePrincipal];
  const retiring = [grant.retiringPrincipal, grant.retiringServicePrincipal];
  const contexts = [encryptionContextSubset, encryptionContextEquals].map((one) => one && [...one].sort());
  const terms = [grant.name, principals, retiring, [...grant.operations].sort(), contexts, sourceArn];
  return JSON.stringify([grant.keyArn, grant.issuingAccount, ...terms]);
}
