/** Why a request is allowed or not. */

/** The kinds of policy that can decide, in the order in which a deny of theirs is reported. */
export const DECIDING_POLICIES = [
  "resource-control-policy",
  "service-control-policy",
  "endpoint-policy",
  "key-policy",
  "identity-policy",
  "boundary",
  "session-policy",
] as const;
export type DecidingPolicy = (typeof DECIDING_POLICIES)[number];

/** An explicit deny, or that nothing of the kind allows it. */
export type Denial = `denied-by-${DecidingPolicy}` | `not-allowed-by-${DecidingPolicy}`;
export type Reason = "allowed" | Denial;

/** The policy that a denial is about, and whether it denied or only did not allow. */
export function readDenial(denial: Denial): { readonly policy: DecidingPolicy; readonly explicit: boolean } {
  for (const policy of DECIDING_POLICIES) {
    if (denial === `denied-by-${policy}`) return { policy, explicit: true };
    if (denial === `not-allowed-by-${policy}`) return { policy, explicit: false };
  }
  throw new TypeError(`unreachable: ${denial} is no denial`);
}
