/** What a test's enclave is told of its callers: an issuer of tokens, and policies that permit whatever the tests are not about. */
import type { TokenIssuer } from "../../simulator/token-issuer.js";
import { createTokenIssuer } from "../../simulator/token-issuer.js";

export type Json = Readonly<Record<string, unknown>>;

/** Declares the operations, and `functions` by their names. */
export function schemaFor({
  keyed = [],
  keyless = [],
}: {
  keyed?: readonly string[];
  keyless?: readonly string[];
} = {}) {
  const context = `{
    encryptionContext: { tenant?: String, record?: String },
    encryptionContextKeys: Set<String>, channel: String, bytes: Long, time: datetime
  }`;
  const actions = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(", ");
  return `entity Caller { tenant?: String };
entity Alias;
entity Key in [Alias];
entity Enclave;
action ${actions(["decrypt", "data-keys", "messages/decrypt", "messages/encrypt", "messages/re-encrypt", ...keyed])} appliesTo { principal: Caller, resource: Key, context: ${context} };
action ${actions(["random", "caches/wipe", ...keyless])} appliesTo { principal: Caller, resource: Enclave, context: ${context} };
`;
}

export const PERMIT_ALL = "permit(principal, action, resource);";
/** A caller with a `tenant` may what is bound to that tenant; whoever it is may ask for random bytes. */
export const TENANT_POLICIES = `@id("own-tenant")
permit(principal, action, resource is Key)
when { principal has tenant && context.encryptionContext has tenant && principal.tenant == context.encryptionContext.tenant };
@id("random")
permit(principal, action == Action::"random", resource);
`;

/** `authorization` of a configuration that takes the tokens of `issuer`. */
export const authorizationFor = (issuer: TokenIssuer, changes: Json = {}): Json => ({
  issuers: [issuer.configuration],
  schema: schemaFor(),
  policies: PERMIT_ALL,
  budgets: { requestsPerMinute: 1_000_000, maxConcurrent: 4_096 },
  ...changes,
});

/** An issuer, and a token of it that serves a test for an hour. */
export async function issuerForTest(): Promise<{ readonly issuer: TokenIssuer; readonly token: string }> {
  const issuer = await createTokenIssuer();
  return { issuer, token: await issuer.issue({ subject: "alice", lifetimeSeconds: 3600, claims: { tenant: "a" } }) };
}
