/** The policies of a world.json, compiled. */
import type { IdentityPolicy } from "../iam/policy/compile.js";
import { compileIdentityPolicy } from "../iam/policy/compile.js";
import type { AccountFile, PolicyFile } from "./schema.js";
import { at, WorldError } from "./world-error.js";

/** The text of a policy, in whichever form it stands there. */
export const textOf = (policy: PolicyFile): string => (typeof policy === "string" ? policy : JSON.stringify(policy));

/** Compiles policies by name. @throws WorldError */
export const compileAll = <Policy>(
  place: string,
  policies: Readonly<Record<string, PolicyFile>> | undefined,
  compile: (text: string, source: { name: string }) => Policy,
): readonly Policy[] =>
  Object.entries(policies ?? {}).map(([name, policy]) =>
    at(`${place}.${name}`, () => compile(textOf(policy), { name })),
  );

const ALLOW_ALL = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
});

/** Managed policies by ARN: the accounts' own, and of AWS's those that say the same for ever. */
export class ManagedPolicies {
  readonly #byArn = new Map<string, IdentityPolicy>();

  constructor(partition: string, accounts: readonly AccountFile[]) {
    const administrator = `arn:${partition}:iam::aws:policy/AdministratorAccess`;
    this.#byArn.set(administrator, compileIdentityPolicy(ALLOW_ALL, { name: "AdministratorAccess" }));
    for (const [i, { id, managedPolicies }] of accounts.entries()) {
      for (const policy of compileAll(`accounts[${i}].managedPolicies`, managedPolicies, compileIdentityPolicy)) {
        this.#byArn.set(`arn:${partition}:iam::${id}:policy/${policy.name}`, policy);
      }
    }
  }

  get(arn: string): IdentityPolicy | undefined {
    return this.#byArn.get(arn);
  }

  /** The policy that `place` refers to. @throws WorldError */
  at(place: string, arn: string): IdentityPolicy {
    const policy = this.#byArn.get(arn);
    if (policy === undefined)
      throw new WorldError(`${place}: expected the ARN of a managed policy of this file, got "${arn}"`);
    return policy;
  }
}
