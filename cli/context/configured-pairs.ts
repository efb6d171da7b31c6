/**
 * The pairs of an encryption context that an enclave's configuration relies on: what it requires of messages, and what its
 * Cedar schema and policies (docs/authorization.md) read of `context.encryptionContext`.
 */
import { TypeReader } from "../../enclave/authorization/attribute-types.js";
import type { ActionJson, SchemaJson } from "../../enclave/authorization/cedar.js";
import { CedarStore, parsePolicy } from "../../enclave/authorization/cedar.js";
import { parsePolicies } from "../../enclave/authorization/policy-text.js";
import { parseConfiguration } from "../../enclave/configuration.js";
import type { ContextExpectations } from "../../shared/context-lint.js";

/** @throws ServiceError ERR_CONFIGURATION; the policies are parsed and not validated. */
export function configuredPairs(bytes: Uint8Array): Required<ContextExpectations> {
  const { messages, authorization } = parseConfiguration(bytes);
  // Where data keys are kept in memory, they are kept by tenant, and a message without one is refused.
  const tenant = messages.dataKeys.kind === "perMessage" ? [] : [messages.tenantPair];
  const declared = requiredBySchema(authorization.schema);
  return {
    expectedPairs: unique([...messages.requiredPairs, ...tenant, ...declared]),
    policyPairs: unique(parsePolicies(authorization.policies).flatMap((policy) => readBy(parsePolicy(policy)))),
  };
}

const unique = (names: readonly string[]): readonly string[] => [...new Set(names)];

/** Pairs that are not optional for some action on keys: a request without one is denied. */
function requiredBySchema(text: string): readonly string[] {
  const schema = new CedarStore().parseSchema({ field: "authorization.schema", text, firstLine: 1 });
  const actions = Object.values(schema[""]?.actions ?? {});
  return actions.flatMap((action) => requiredBy(action, schema));
}

function requiredBy({ appliesTo }: ActionJson, schema: SchemaJson): readonly string[] {
  if (!appliesTo?.resourceTypes?.includes("Key") || appliesTo.context === undefined) return [];
  const context = new TypeReader(schema).read(appliesTo.context);
  const pairs = context.kind === "Record" ? context.attributes.get("encryptionContext")?.type : undefined;
  if (pairs?.kind !== "Record") return [];
  return [...pairs.attributes].flatMap(([name, { isRequired }]) => (isRequired ? [name] : []));
}

/** Pairs that an expression of Cedar reads or asks for, anywhere in its JSON form. Its depth is bounded by `parsePolicies`. */
function readBy(json: unknown): readonly string[] {
  if (typeof json !== "object" || json === null) return [];
  const [context, set, name] = pathOf(json) ?? [];
  const read = context === "context" && set === "encryptionContext" && name !== undefined ? [name] : [];
  return [...read, ...containedIn(json), ...Object.values(json).flatMap(readBy)];
}

/** `context.encryptionContext.NAME` and `context has encryptionContext.NAME` as their words; undefined for anything else. */
function pathOf(json: unknown): readonly string[] | undefined {
  const { Var: variable, ".": attribute, has = attribute } = json as Partial<Record<string, Operands & string>>;
  if (typeof variable === "string") return [variable];
  if (has?.left === undefined) return undefined;
  const before = pathOf(has.left);
  return before && [...before, ...[has.attr ?? []].flat()];
}

interface Operands {
  readonly left?: unknown;
  readonly right?: { readonly Value?: unknown };
  readonly attr?: string | readonly string[];
}

/** `context.encryptionContextKeys.contains("NAME")`. */
function containedIn(json: object): readonly string[] {
  const { left, right } = (json as { readonly contains?: Operands }).contains ?? {};
  const value = right?.Value;
  const isOfNames = left !== undefined && pathOf(left)?.join(".") === "context.encryptionContextKeys";
  return isOfNames && typeof value === "string" ? [value] : [];
}
