/**
 * Types of attributes in a Cedar schema, and the conversion of JSON values, such as the claims of a token, to them.
 * A value is converted whole or not at all: no element of a list and no wrong-typed field is dropped on the way.
 */
import type { CedarValue, SchemaJson, TypeJson } from "./cedar.js";

/** `other`: entities and Cedar's further extension types, which no claim has. */
export type AttributeType =
  | { readonly kind: "String" | "Long" | "Boolean" | "datetime" | "other" }
  | { readonly kind: "Set"; readonly element: AttributeType }
  | { readonly kind: "Record"; readonly attributes: Attributes };

export type Attributes = ReadonlyMap<string, { readonly type: AttributeType; readonly isRequired: boolean }>;

const BUILTINS: ReadonlyMap<string, "String" | "Long" | "Boolean" | "datetime"> = new Map([
  ["String", "String"],
  ["Long", "Long"],
  ["Bool", "Boolean"],
  ["Boolean", "Boolean"],
  ["datetime", "datetime"],
]);

/** Fields that make Cedar read a record as something else: an entity, a call of an extension function. */
const ESCAPES = new Set(["__entity", "__extn", "__expr"]);

/** Makes the attribute types of a schema that Cedar has taken: there every name exists, and none is defined by itself. */
export class TypeReader {
  readonly #schema: SchemaJson;

  constructor(schema: SchemaJson) {
    this.#schema = schema;
  }

  read(json: TypeJson): AttributeType {
    if (json.type === "Set" && json.element !== undefined) return { kind: "Set", element: this.read(json.element) };
    if (json.type === "Record") return { kind: "Record", attributes: this.#attributes(json) };
    const common = this.#commonType(json.type);
    if (common !== undefined) return this.read(common);
    return { kind: BUILTINS.get(json.type.replace(/^__cedar::/, "")) ?? "other" };
  }

  #attributes({ attributes = {} }: TypeJson): Attributes {
    return new Map(
      Object.entries(attributes).map(([name, json]) => [
        name,
        { type: this.read(json), isRequired: json.required ?? true },
      ]),
    );
  }

  #commonType(fullName: string): TypeJson | undefined {
    const end = fullName.lastIndexOf("::");
    const types = this.#schema[end < 0 ? "" : fullName.slice(0, end)]?.commonTypes ?? {};
    const name = end < 0 ? fullName : fullName.slice(end + 2);
    return Object.hasOwn(types, name) ? types[name] : undefined;
  }
}

/** Whether JSON values can have this type, Sets and records in one another at most `levels` deep. */
export function isJsonType(type: AttributeType, levels = 8): boolean {
  if (type.kind === "Set") return levels > 0 && isJsonType(type.element, levels - 1);
  if (type.kind !== "Record") return type.kind !== "datetime" && type.kind !== "other";
  const attributes = [...type.attributes];
  return levels > 0 && attributes.every(([name, field]) => !ESCAPES.has(name) && isJsonType(field.type, levels - 1));
}

/** How a type is written in a schema. */
export function describeType(type: AttributeType): string {
  if (type.kind === "Set") return `Set<${describeType(type.element)}>`;
  return type.kind === "Boolean" ? "Bool" : type.kind;
}

/** `value` as a Cedar value of the type, or undefined where it is none. */
export function cedarValueOf(type: AttributeType, value: unknown): CedarValue | undefined {
  switch (type.kind) {
    case "String":
      return typeof value === "string" && isWellFormed(value) ? value : undefined;
    case "Long":
      return Number.isSafeInteger(value) ? Number(value) : undefined;
    case "Boolean":
      return typeof value === "boolean" ? value : undefined;
    case "Set":
      return cedarSetOf(type.element, value);
    case "Record": {
      const converted = cedarRecordOf(type.attributes, value);
      return converted?.missing === undefined ? converted?.record : undefined;
    }
    default:
      return undefined;
  }
}

function cedarSetOf(element: AttributeType, value: unknown): CedarValue | undefined {
  if (!Array.isArray(value)) return undefined;
  const elements = value.map((each) => cedarValueOf(element, each)).filter((each) => each !== undefined);
  return elements.length === value.length ? elements : undefined;
}

/**
 * The fields of `value` that are declared and of their type, and the first required one that is not; undefined where
 * `value` is no object.
 */
export function cedarRecordOf(
  attributes: Attributes,
  value: unknown,
): { readonly record: Record<string, CedarValue>; readonly missing: string | undefined } | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  const converted = [...attributes].map(
    ([name, { type, isRequired }]) => [name, cedarValueOf(type, fields.get(name)), isRequired] as const,
  );
  return {
    record: Object.fromEntries(
      converted.flatMap(([name, field]) => (field === undefined ? [] : [[name, field] as const])),
    ),
    missing: converted.find(([, field, isRequired]) => isRequired && field === undefined)?.[0],
  };
}

/** Whether `text` is Unicode: a lone surrogate would reach Cedar as U+FFFD, the same for all of them. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);
