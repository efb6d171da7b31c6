/**
 * Compiled key policies by their text: a hundred thousand keys with the default policy of their account hold one between
 * them. A policy that no key holds any more is forgotten.
 */
import type { KeyPolicy } from "./compile.js";
import { compileKeyPolicy } from "./compile.js";

export class SharedPolicies {
  readonly #policies = new Map<string, WeakRef<KeyPolicy>>();
  readonly #dropped = new FinalizationRegistry<string>((text) => {
    if (this.#policies.get(text)?.deref() === undefined) this.#policies.delete(text);
  });

  /** The policy of that text. @throws AwsError as `compileKeyPolicy` */
  keyPolicy(text: string): KeyPolicy {
    const known = this.#policies.get(text)?.deref();
    if (known !== undefined) return known;
    const policy = compileKeyPolicy(text);
    this.#policies.set(text, new WeakRef(policy));
    this.#dropped.register(policy, text);
    return policy;
  }
}

/** One memory for the process: what it holds is a function of the text alone. */
const POLICIES = new SharedPolicies();

/** As `compileKeyPolicy`; every key with this text has the same object. @throws AwsError as `compileKeyPolicy` */
export const sharedKeyPolicy = (text: string): KeyPolicy => POLICIES.keyPolicy(text);
