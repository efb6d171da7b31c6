/** Session policies: the most that a session can have (IAM User Guide, "Session policies"). */
import { deflateRawSync } from "node:zlib";
import { AwsError } from "../errors.js";
import type { IdentityPolicy } from "../iam/policy/compile.js";
import { compileIdentityPolicy } from "../iam/policy/compile.js";
import type { Principals } from "../iam/principals.js";
import { validationError } from "./errors.js";

export interface SessionPolicyInput {
  readonly Policy?: string | undefined;
  readonly PolicyArns?: readonly { readonly arn: string }[] | undefined;
}

/** Compiles them. @throws AwsError MalformedPolicyDocumentException, ValidationError */
export function sessionPolicies(
  { Policy, PolicyArns = [] }: SessionPolicyInput,
  { world }: Principals,
): readonly IdentityPolicy[] {
  const managed = PolicyArns.map(({ arn }) => {
    const policy = world.managedPolicies.get(arn);
    if (policy === undefined) throw validationError(`Policy ${arn} does not exist or is not attachable.`);
    return policy;
  });
  return Policy === undefined ? managed : [compileIdentityPolicy(Policy, { name: "session policy" }), ...managed];
}

/** What policies and tags may take in a session token, once packed. STS does not say how it packs them. */
const MAX_PACKED_BYTES = 2048;

/** The share that they take, in percent; undefined if there are none. @throws AwsError PackedPolicyTooLarge */
export function packedSize(policies: readonly IdentityPolicy[], tags: ReadonlyMap<string, string>): number | undefined {
  if (policies.length === 0 && tags.size === 0) return undefined;
  const packed = deflateRawSync(JSON.stringify([policies.map(({ text }) => text), ...tags]));
  const percent = Math.ceil((packed.length * 100) / MAX_PACKED_BYTES);
  if (percent > 100) {
    const what = tags.size === 0 ? "policies" : "session tags";
    throw new AwsError("PackedPolicyTooLarge", `Packed size of ${what} consumes ${percent}% of allotted space.`);
  }
  return percent;
}
