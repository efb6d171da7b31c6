/**
 * What Cedar is asked, in the shape of docs/authorization.md: the principal with the claims that the schema declares, the
 * operation, the key with its aliases, and what the schema declares of the context.
 */
import type { PinnedKey } from "../kms/pinned-keys.js";
import { cedarRecordOf, isWellFormed } from "./attribute-types.js";
import type { CedarEntity, CedarRequest, CedarValue, EntityId } from "./cedar.js";
import type { Principal } from "./principal.js";
import type { AuthorizationSchema } from "./schema.js";

/**
 * What carries a request. `parent`: HTTP that the parent reads. `sealed`: Oblivious HTTP through the parent. `tls`: TLS
 * that ends in the enclave, through the parent's pass-through.
 */
export type Channel = "parent" | "sealed" | "tls";

export interface DecisionRequest {
  readonly principal: Principal;
  /** A served action: the operation's name, as in its path below `/v1/`. */
  readonly action: string;
  /** The key that is asked for; undefined for operations without one. */
  readonly key: PinnedKey | undefined;
  readonly encryptionContext: Readonly<Record<string, string>>;
  readonly channel: Channel;
  /** The size of what is to be decrypted or made, 0 where nothing is. */
  readonly bytes: number;
  /** Trusted time. */
  readonly now: Date;
}

/** Something that the schema requires, or Cedar can only read wrongly, is not there: `reason` says what, not its value. */
export interface Unfit {
  readonly reason: string;
}

export const resourceOf = (key: PinnedKey | undefined): EntityId =>
  key === undefined ? { type: "Enclave", id: "enclave" } : { type: "Key", id: key.arn };

export const parentsOf = (key: PinnedKey | undefined): EntityId[] =>
  (key?.aliases ?? []).map((alias) => ({ type: "Alias", id: alias }));

/**
 * The request for Cedar, or why there can be none.
 * @param withKey false where no policy tells keys apart by anything but their name: then Cedar need not read the entity.
 */
export function cedarRequestOf(
  schema: AuthorizationSchema,
  request: DecisionRequest,
  { withKey }: { readonly withKey: boolean },
): CedarRequest | Unfit {
  if (!isReadable(request)) return { reason: "expected Unicode text in the subject and the encryption context" };
  const claims = cedarRecordOf(schema.claims, request.principal.claims);
  if (claims?.missing !== undefined) return unfit("claim", claims.missing);
  const context = contextOf(schema, request);
  if (isUnfit(context)) return context;
  const principal = { type: "Caller", id: request.principal.id };
  const caller = { uid: principal, attrs: claims?.record ?? {}, parents: [] };
  const resource = resourceOf(request.key);
  const key: CedarEntity = { uid: resource, attrs: {}, parents: parentsOf(request.key) };
  const action = { type: "Action", id: request.action };
  const entities = withKey && key.parents.length > 0 ? [caller, key] : [caller];
  return { principal, action, resource, context: context.record, entities };
}

export const isUnfit = (answer: object): answer is Unfit => "reason" in answer;

const unfit = (what: string, name: string): Unfit => ({
  reason: `expected the ${what} ${JSON.stringify(name)} with the type that the schema requires`,
});

function contextOf(
  schema: AuthorizationSchema,
  { action, encryptionContext, channel, bytes, now }: DecisionRequest,
): { readonly record: Record<string, CedarValue> } | Unfit {
  const { pairs, names } = schema.contextOf(action);
  const known = pairs && cedarRecordOf(pairs, encryptionContext);
  if (known?.missing !== undefined) return unfit("encryption-context pair", known.missing);
  const record: Record<string, CedarValue> = {
    encryptionContext: known?.record ?? {},
    encryptionContextKeys: Object.keys(encryptionContext),
    channel,
    bytes,
    time: now.toISOString(), // read as a datetime, which is what the schema declares it to be
  };
  return { record: Object.fromEntries(Object.entries(record).filter(([name]) => names.has(name))) };
}

function isReadable({ principal, encryptionContext }: DecisionRequest): boolean {
  return [principal.id, ...Object.entries(encryptionContext).flat()].every(isWellFormed);
}
