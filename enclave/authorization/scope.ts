/**
 * Scopes of policies: the part in the parentheses, `principal == …, action in …, resource is …`. A policy whose scope does
 * not match a request is neither satisfied by it nor can it fail on it, since Cedar looks at the scope first; so it may be
 * left out. What is not understood here matches every request.
 */
import { z } from "zod";
import type { EntityId } from "./cedar.js";

/** What one part of a scope demands, all of it; nothing at all where it is empty. */
export interface Constraint {
  readonly type?: string;
  readonly equals?: string;
  /** One of these must be the entity itself, or one of its ancestors. */
  readonly within?: readonly string[];
}

export interface Scope {
  readonly principal: Constraint;
  readonly action: Constraint;
  readonly resource: Constraint;
}

/** An entity of a request, as scopes see it. */
export interface ScopedEntity {
  readonly type: string;
  readonly name: string;
  /** Its own name and those of its ancestors. */
  readonly lineage: ReadonlySet<string>;
}

/** An unambiguous name. */
export const nameOf = ({ type, id }: EntityId): string => JSON.stringify([type, id]);

export const scopedEntity = (entity: EntityId, ancestors: readonly EntityId[]): ScopedEntity => ({
  type: entity.type,
  name: nameOf(entity),
  lineage: new Set([entity, ...ancestors].map(nameOf)),
});

const typeAndId = z.strictObject({ type: z.string(), id: z.string() });
const entity = z.union([typeAndId, z.strictObject({ __entity: typeAndId }).transform((escaped) => escaped.__entity)]);
const name = entity.transform(nameOf);

/** The forms of Cedar's JSON for principal, action and resource in a scope. */
const constraint = z.union([
  z.strictObject({ op: z.literal("All") }).transform((): Constraint => ({})),
  z.strictObject({ op: z.literal("=="), entity: name }).transform((is): Constraint => ({ equals: is.entity })),
  z.strictObject({ op: z.literal("in"), entity: name }).transform((is): Constraint => ({ within: [is.entity] })),
  z
    .strictObject({ op: z.literal("in"), entities: z.array(name) })
    .transform((is): Constraint => ({ within: is.entities })),
  z
    .strictObject({ op: z.literal("is"), entity_type: z.string() })
    .transform((is): Constraint => ({ type: is.entity_type })),
  z
    .strictObject({ op: z.literal("is"), entity_type: z.string(), in: z.strictObject({ entity: name }) })
    .transform((is): Constraint => ({ type: is.entity_type, within: [is.in.entity] })),
]);

/** The scope of a policy, with everything that is not understood left open. */
export function scopeOf({ principal, action, resource }: Readonly<Record<keyof Scope, unknown>>): Scope {
  const read = (part: unknown): Constraint => constraint.safeParse(part).data ?? {};
  return { principal: read(principal), action: read(action), resource: read(resource) };
}

/** Whether an entity is what a constraint demands. */
export function matches({ type, equals, within }: Constraint, entity: ScopedEntity): boolean {
  if (type !== undefined && type !== entity.type) return false;
  if (equals !== undefined && equals !== entity.name) return false;
  return within === undefined || within.some((ancestor) => entity.lineage.has(ancestor));
}
