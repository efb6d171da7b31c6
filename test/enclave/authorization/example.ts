/** A small authorization: a schema, policies, and a request that they permit. Tests make one change to it. */
import type { AuthorizationPolicyOptions } from "../../../enclave/authorization/policies.js";
import { AuthorizationPolicy } from "../../../enclave/authorization/policies.js";
import type { DecisionRequest } from "../../../enclave/authorization/request.js";
import type { ServedAction } from "../../../enclave/authorization/schema.js";
import type { PinnedKey } from "../../../enclave/kms/pinned-keys.js";

export const arnOf = (key: number): string =>
  `arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-${String(key).padStart(12, "0")}`;

export const CARDS: PinnedKey = { arn: arnOf(1), aliases: ["alias/cards", "alias/payments"] };
export const HEALTH: PinnedKey = { arn: arnOf(2), aliases: ["alias/health"] };
export const PLAIN: PinnedKey = { arn: arnOf(3), aliases: [] };

export const ACTIONS: readonly ServedAction[] = [
  { name: "decrypt", resources: ["Key"] },
  { name: "messages/decrypt", resources: ["Key"] },
  { name: "random", resources: ["Enclave"] },
];

export const SCHEMA = `
entity Caller {
  tenant: String,
  level?: Long,
  staff?: Bool,
  roles?: Set<String>,
  realm?: { name: String, groups?: Set<String> },
};
entity Alias;
entity Key in [Alias];
entity Enclave;
type Request = {
  encryptionContext: { tenant?: String, purpose?: String },
  encryptionContextKeys: Set<String>,
  channel: String,
  bytes: Long,
  time: datetime,
};
action "open";
action "decrypt", "messages/decrypt" in ["open"]
  appliesTo { principal: Caller, resource: Key, context: Request };
action "random" appliesTo { principal: Caller, resource: Enclave, context: Request };
`;

export const POLICIES = `
@id("own cards")
permit(principal, action == Action::"decrypt", resource in Alias::"alias/cards")
when { context.encryptionContext has tenant && context.encryptionContext.tenant == principal.tenant }
when { ["tenant", "purpose"].containsAll(context.encryptionContextKeys) }
when { context.bytes <= 4096 };

@id("plain")
permit(principal, action in Action::"open", resource == Key::"${PLAIN.arn}");

@id("random")
permit(principal == Caller::"corp/alice", action == Action::"random", resource);

@id("not by the parent")
forbid(principal, action, resource) when { context.channel == "parent" };

@id("until 2027")
forbid(principal, action, resource) unless { context.time < datetime("2027-01-01") };
`;

/** The bearer of a token with these claims. */
export const callerWith = (claims: Readonly<Record<string, unknown>>, subject = "alice") => ({
  principal: { id: `corp/${subject}`, issuer: "corp", subject, claims },
});

export const REQUEST: DecisionRequest = {
  ...callerWith({ iss: "https://issuer.example", tenant: "acme" }),
  action: "decrypt",
  key: CARDS,
  encryptionContext: { tenant: "acme" },
  channel: "sealed",
  bytes: 256,
  now: new Date("2026-11-23T12:00:00Z"),
};

/** An authorization of the example, with changes. */
export const policyOf = (change: Partial<AuthorizationPolicyOptions> = {}): AuthorizationPolicy =>
  new AuthorizationPolicy({ schema: SCHEMA, policies: POLICIES, actions: ACTIONS, ...change });
