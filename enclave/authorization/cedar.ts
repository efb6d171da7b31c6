/**
 * Cedar's engine (`@cedar-policy/cedar-wasm`), as much of it as is used here. This is the one file that loads it: the
 * package reads its own .wasm file once, when it is imported, and nothing later.
 *
 * The engine keeps what it has parsed in a store inside its memory, by name. The same name replaces, nothing removes, and
 * every decision copies the set that it is made with: about 1.5 µs for each policy in it (slices.ts).
 *
 * V8 compiles calls into WebAssembly into the JavaScript around them, and the one of Node 20 (11.3) aborts the process when
 * such a call is deoptimised while it runs ("unreachable code" in Deoptimizer::DoComputeBuiltinContinuation), which happens
 * by itself after some thousand decisions. A policy decision must not end the enclave, so that is switched off. It
 * costs nothing that the benchmark can see.
 *
 * Neither the engine nor V8 looks how much of a stack is left: they trap, and the engine is of no use afterwards. Texts that
 * are nested too deeply to be read are refused; what could be read once, and not at another time, is kept out by policy-text.ts.
 * Policies go in as text: in JavaScript, Cedar's JSON form loses whole numbers beyond 2^53.
 */
import { randomUUID } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import type { CedarValueJson, DetailedError, EntityJson, PolicyJson, TypeAndId } from "@cedar-policy/cedar-wasm/nodejs";
import {
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  schemaToJsonWithResolvedTypes,
  statefulIsAuthorized,
  validate,
} from "@cedar-policy/cedar-wasm/nodejs";
import { ServiceError } from "../../shared/errors.js";

export type CedarValue = CedarValueJson;
export type { PolicyJson };
export type CedarEntity = EntityJson;
export type EntityId = TypeAndId;

/** A type in Cedar's JSON form of a schema, whose names are resolved: builtin, entity, or a common type by its full name. */
export interface TypeJson {
  readonly type: string;
  readonly element?: TypeJson;
  readonly attributes?: Readonly<Record<string, TypeJson>>;
  readonly required?: boolean;
}

export interface EntityTypeJson {
  readonly memberOfTypes?: readonly string[];
  readonly shape?: TypeJson;
  readonly tags?: TypeJson;
  readonly enum?: readonly string[];
}

export interface ActionJson {
  readonly appliesTo?: {
    readonly principalTypes: readonly string[];
    readonly resourceTypes: readonly string[];
    readonly context?: TypeJson;
  };
  readonly memberOf?: readonly { readonly id: string; readonly type?: string }[];
}

/** A schema by namespace; "" is the one without a name. */
export type SchemaJson = Readonly<
  Record<
    string,
    {
      readonly commonTypes?: Readonly<Record<string, TypeJson>>;
      readonly entityTypes: Readonly<Record<string, EntityTypeJson>>;
      readonly actions: Readonly<Record<string, ActionJson>>;
    }
  >
>;

export interface CedarRequest {
  readonly principal: EntityId;
  readonly action: EntityId;
  readonly resource: EntityId;
  readonly context: Readonly<Record<string, CedarValue>>;
  readonly entities: readonly CedarEntity[];
}

/** What the engine found; ids are those under which the policies are kept. */
export interface Evaluation {
  readonly decision: "allow" | "deny";
  /** The permits that allow it, or the forbids that deny it. */
  readonly policyIds: readonly string[];
  /** Policies whose conditions could not be evaluated. The engine leaves them out of its decision. */
  readonly failedPolicyIds: readonly string[];
}

/** A text of the configuration, or a part of it that starts at some line. */
export interface ConfiguredText {
  /** The field in the configuration. */
  readonly field: string;
  readonly text: string;
  readonly firstLine: number;
}

/** One schema and the sets of policies that are decided under it. */
export class CedarStore {
  readonly #name = randomUUID();
  #hasFailed = false;

  constructor() {
    setFlagsFromString("--no-turbo-inline-js-wasm-calls"); // see above; long before any call is hot
  }

  /** Parses and keeps the schema. @throws ServiceError ERR_CONFIGURATION. */
  parseSchema(schema: ConfiguredText): SchemaJson {
    const kept = reading(schema, () => preparseSchema(this.#name, schema.text));
    if (kept.type === "failure") throw refusalOf(schema, kept.errors);
    const read = reading(schema, () => schemaToJsonWithResolvedTypes(schema.text));
    if (read.type === "failure") throw refusalOf(schema, read.errors);
    // The only warnings are about names that hide Cedar's own.
    if (read.warnings.length > 0) throw refusalOf(schema, read.warnings);
    return read.json;
  }

  /** Keeps policies, which have been parsed before, as the set `set`. @throws ServiceError ERR_INTERNAL as `evaluate` does. */
  keep(set: string, policies: readonly { readonly id: string; readonly text: string }[]): void {
    const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
    const kept = this.#run(() => preparsePolicySet(`${this.#name}/${set}`, { staticPolicies }));
    if (kept.type === "failure") throw new TypeError("CedarStore.keep: the policies do not parse");
  }

  /**
   * What the policies of `set` say, or undefined where the request does not fit the schema.
   * @throws ServiceError ERR_INTERNAL once the engine has failed: what it would answer after that means nothing.
   */
  evaluate(set: string, { principal, action, resource, context, entities }: CedarRequest): Evaluation | undefined {
    const call = { principal, action, resource, context, entities: [...entities], validateRequest: true };
    const names = { preparsedSchemaName: this.#name, preparsedPolicySetId: `${this.#name}/${set}` };
    const answer = this.#run(() => statefulIsAuthorized({ ...call, ...names }));
    if (answer.type === "failure") return undefined; // the engine's message holds values of the request
    const { decision, diagnostics } = answer.response;
    const failedPolicyIds = diagnostics.errors.map(({ policyId }) => policyId).sort();
    return { decision, policyIds: [...diagnostics.reason].sort(), failedPolicyIds };
  }

  #run<T>(call: () => T): T {
    if (this.#hasFailed)
      throw new ServiceError("ERR_INTERNAL", "expected Cedar's engine to work, it has failed before");
    try {
      return call();
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
  }
}

/** The policies and templates of a text, each as it is written, in the order of Cedar's ids. @throws ServiceError ERR_CONFIGURATION. */
export function splitPolicies(policies: ConfiguredText): { policies: readonly string[]; templates: readonly string[] } {
  const answer = reading(policies, () => policySetTextToParts(policies.text));
  if (answer.type === "failure") throw refusalOf(policies, answer.errors);
  return { policies: answer.policies, templates: answer.policy_templates };
}

/** @throws ServiceError ERR_CONFIGURATION. */
export function parsePolicy(policy: ConfiguredText): PolicyJson {
  const answer = reading(policy, () => policyToJson(policy.text));
  if (answer.type === "failure") throw refusalOf(policy, answer.errors);
  return answer.json;
}

/**
 * Validates policies against a schema, strictly. Warnings count: a policy that can never apply, or that looks like another
 * one, must not be measured as if it had the effect that it seems to have.
 * @throws ServiceError ERR_CONFIGURATION; the message names the first few policies, each with its line.
 */
export function validatePolicies(
  schema: string,
  policies: readonly (ConfiguredText & { readonly id: string })[],
): void {
  const staticPolicies = Object.fromEntries(policies.map(({ id, text }) => [id, text]));
  const call = { validationSettings: { mode: "strict" as const }, schema, policies: { staticPolicies } };
  const [first] = policies;
  if (first === undefined) return;
  const answer = reading(first, () => validate(call));
  if (answer.type === "failure") throw new TypeError("validatePolicies: schema or policies do not parse");
  const found = [...answer.validationErrors, ...answer.validationWarnings];
  const wrong = policies.flatMap((policy) => {
    const errors = found.filter(({ policyId }) => policyId === policy.id).map(({ error }) => error);
    return errors.length === 0 ? [] : [describe(policy, errors[0])];
  });
  if (wrong.length > 0) throw new ServiceError("ERR_CONFIGURATION", wrong.slice(0, 5).join("; "));
}

/** Reads a text of the configuration. @throws ServiceError ERR_CONFIGURATION when a stack ends. */
function reading<T>({ field }: ConfiguredText, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
    const expectation = "expected it to be nested less deeply, Cedar's engine has no room for it";
    throw new ServiceError("ERR_CONFIGURATION", `${field}: ${expectation}`, { cause: error });
  }
}

/** A refusal in Cedar's words. A configuration is its operator's own, and no secret. */
const refusalOf = (where: ConfiguredText, errors: readonly DetailedError[]): ServiceError =>
  new ServiceError("ERR_CONFIGURATION", describe(where, errors[0]));

function describe({ field, text, firstLine }: ConfiguredText, error: DetailedError | undefined): string {
  const [location] = error?.sourceLocations ?? [];
  const before = Buffer.from(text).subarray(0, location?.start ?? 0); // Cedar counts bytes
  const line = firstLine + before.filter((byte) => byte === 0x0a).length;
  const hint = [location?.label, error?.help].filter((words) => typeof words === "string").join(", ");
  return `${field}, line ${line}: ${error?.message ?? "refused"}${hint === "" ? "" : ` (${hint})`}`;
}
