/**
 * Who may do what in the demo, in Cedar (docs/authorization.md): a caller may use the key for what is bound to the caller's
 * own tenant, and anybody who is known may have random bytes. Part of the enclave's configuration, so measured.
 */
export const SCHEMA = `entity Caller { tenant: String };
entity Alias;
entity Key in [Alias];
entity Enclave;
action "decrypt", "data-keys", "messages/decrypt", "messages/encrypt", "messages/re-encrypt" appliesTo {
  principal: Caller,
  resource: Key,
  context: { encryptionContext: { tenant?: String }, channel: String }
};
action "random", "caches/wipe" appliesTo { principal: Caller, resource: Enclave, context: { channel: String } };
`;

export const POLICIES = `@id("own-tenant")
permit(principal, action, resource is Key)
when {
  context.encryptionContext has tenant &&
  context.encryptionContext.tenant == principal.tenant
};

@id("random")
permit(principal, action == Action::"random", resource);
`;
