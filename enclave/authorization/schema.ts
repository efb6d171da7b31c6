/**
 * The operator's Cedar schema: what it declares of the request shape of docs/authorization.md. It may leave out what no
 * policy uses; what it declares beyond that shape is refused, since no request would ever have it.
 */
import { ServiceError } from "../../shared/errors.js";
import type { Attributes, AttributeType } from "./attribute-types.js";
import { describeType, isJsonType, TypeReader } from "./attribute-types.js";
import type { ActionJson, CedarStore, EntityTypeJson, SchemaJson } from "./cedar.js";

const FIELD = "authorization.schema";

export type ResourceType = "Key" | "Enclave";

/** An operation that the enclave serves. */
export interface ServedAction {
  /** As in its path below `/v1/`: `decrypt`, `functions/NAME`. */
  readonly name: string;
  /** What it can be asked for: a key of the configuration, or none. */
  readonly resources: readonly ResourceType[];
}

/** What the schema lets a request say besides principal, action and resource. */
export interface ContextShape {
  readonly pairs: Attributes | undefined;
  readonly names: ReadonlySet<string>;
}

/** The parents that entities of the request have. */
const PARENTS: Readonly<Record<string, readonly string[]>> = { Caller: [], Key: ["Alias"], Alias: [], Enclave: [] };

const STRING: AttributeType = { kind: "String" };
const CONTEXT: ReadonlyMap<string, AttributeType> = new Map<string, AttributeType>([
  ["encryptionContextKeys", { kind: "Set", element: STRING }],
  ["channel", STRING],
  ["bytes", { kind: "Long" }],
  ["time", { kind: "datetime" }],
]);

/** A schema that fits the requests which the enclave makes of it. */
export class AuthorizationSchema {
  readonly #json: SchemaJson;
  readonly #types: TypeReader;
  readonly #contexts: ReadonlyMap<string, ContextShape>;
  /** The claims that callers have as attributes. */
  readonly claims: Attributes;

  /**
   * Parses the schema and keeps it in the store.
   * @throws ServiceError ERR_CONFIGURATION when it does not parse, or does not declare what the actions need.
   */
  constructor(text: string, store: CedarStore, actions: readonly ServedAction[]) {
    this.#json = store.parseSchema({ field: FIELD, text, firstLine: 1 });
    this.#types = new TypeReader(this.#json);
    for (const [name, parents] of Object.entries(PARENTS)) {
      assertEntityType(name, this.#json[""]?.entityTypes[name], parents);
    }
    this.claims = this.#readClaims();
    this.#contexts = new Map(actions.map((action) => [action.name, this.#readAction(action)]));
  }

  /** What the context of a served action holds. */
  contextOf(action: string): ContextShape {
    const shape = this.#contexts.get(action);
    if (shape === undefined) throw new TypeError(`AuthorizationSchema: ${action} is not an action that is served`);
    return shape;
  }

  /** The groups that an action of the namespace without a name is in, directly or not. */
  groupsOf(action: string): readonly { readonly type: string; readonly id: string }[] {
    const found = new Map<string, { readonly type: string; readonly id: string }>();
    const pending = [{ type: "Action", id: action }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const namespace = next.type.replace(/(^|::)Action$/, "");
      for (const { type = next.type, id } of this.#json[namespace]?.actions[next.id]?.memberOf ?? []) {
        const key = JSON.stringify([type, id]);
        if (!found.has(key)) pending.push({ type, id });
        found.set(key, { type, id });
      }
    }
    return [...found.values()];
  }

  #readClaims(): Attributes {
    const shape = this.#types.read(this.#json[""]?.entityTypes.Caller?.shape ?? { type: "Record" });
    if (shape.kind !== "Record") throw refused("entity Caller: expected a record of attributes");
    for (const [name, { type }] of shape.attributes) {
      if (isJsonType(type)) continue;
      throw refused(
        `entity Caller, attribute ${name}: expected String, Long, Bool, or Sets and records of them, 8 deep`,
      );
    }
    return shape.attributes;
  }

  #readAction({ name, resources }: ServedAction): ContextShape {
    const action = this.#actionNamed(name);
    const { principalTypes = [], resourceTypes = [] } = action.appliesTo ?? {};
    if (!principalTypes.includes("Caller")) throw refused(`action "${name}": expected it to apply to principal Caller`);
    for (const resource of resources) {
      if (!resourceTypes.includes(resource)) {
        throw refused(`action "${name}": expected it to apply to resource ${resource}`);
      }
    }
    return this.#readContext(name, action);
  }

  #actionNamed(name: string): ActionJson {
    const actions = this.#json[""]?.actions ?? {};
    const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
    if (action === undefined) throw refused(`expected the action "${name}", which the enclave serves`);
    return action;
  }

  #readContext(action: string, { appliesTo }: ActionJson): ContextShape {
    const context = this.#types.read(appliesTo?.context ?? { type: "Record" });
    if (context.kind !== "Record") throw refused(`action "${action}": expected its context to be a record`);
    for (const [name, { type }] of context.attributes) {
      if (name === "encryptionContext") assertPairs(action, type);
      else assertContextAttribute(`action "${action}", context.${name}`, type, CONTEXT.get(name));
    }
    const pairs = context.attributes.get("encryptionContext")?.type;
    return {
      pairs: pairs?.kind === "Record" ? pairs.attributes : undefined,
      names: new Set(context.attributes.keys()),
    };
  }
}

const refused = (message: string): ServiceError => new ServiceError("ERR_CONFIGURATION", `${FIELD}: ${message}`);

/** Entities of a request have the parents above and, but for callers, no attributes. */
function assertEntityType(name: string, declared: EntityTypeJson | undefined, parents: readonly string[]): void {
  if (declared === undefined) return; // an action that needs it says so, or Cedar does
  const { memberOfTypes = [], shape, tags, enum: ids } = declared;
  if (ids !== undefined || tags !== undefined) throw refused(`entity ${name}: expected neither enum nor tags`);
  if (memberOfTypes.join() !== parents.join()) {
    throw refused(
      `entity ${name}: expected ${parents.length === 0 ? "no parents" : `it to be in [${parents.join()}]`}`,
    );
  }
  if (name !== "Caller" && shape !== undefined) throw refused(`entity ${name}: expected no attributes`);
}

function assertPairs(action: string, type: AttributeType): void {
  const isPairs = type.kind === "Record" && isJsonType(type);
  if (isPairs && [...type.attributes.values()].every((pair) => pair.type.kind === "String")) return;
  throw refused(`action "${action}", context.encryptionContext: expected a record of Strings`);
}

function assertContextAttribute(where: string, type: AttributeType, expected: AttributeType | undefined): void {
  if (expected === undefined) {
    throw refused(`${where}: expected encryptionContext, ${[...CONTEXT.keys()].join(", ")} only`);
  }
  if (describeType(type) !== describeType(expected)) throw refused(`${where}: expected ${describeType(expected)}`);
}
