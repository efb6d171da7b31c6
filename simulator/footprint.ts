/** How much memory a value takes, about: for what is bounded by bytes and not by number. */

const ITEM_BYTES = 32;

/** Of texts, lists, maps and records of them. Other objects count for little: they are shared, or small. */
export function footprint(value: unknown): number {
  if (typeof value === "string") return ITEM_BYTES + value.length;
  if (typeof value !== "object" || value === null) return ITEM_BYTES;
  let sum = ITEM_BYTES;
  for (const item of Array.isArray(value) || value instanceof Map ? value : Object.entries(value)) {
    sum += footprint(item);
  }
  return sum;
}
