/**
 * Lists in pages (Limit, Marker, Truncated and NextMarker of the List operations). A list is in the order of its items' ids,
 * and a marker says after which id the next page begins: items that come and go between two pages neither repeat nor hide
 * others. A marker is bound to the list that it was given for by a digest; one of another list, or of no list, is refused.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { equalBytes } from "../../shared/bytes.js";
import { AwsError } from "../errors.js";
import { patterned } from "./schema.js";

/** The members that ask for a page. */
export const pageMembers = {
  Limit: z.int().min(1).max(1000).optional(),
  Marker: patterned("[\\u0020-\\u00FF]*", 1, 1024).optional(),
};

export interface PageRequest {
  readonly Limit?: number | undefined;
  readonly Marker?: string | undefined;
}

export interface Listing<Item> {
  /** Which list it is: the operation, and the account, key or principal that it is asked of. */
  readonly name: readonly string[];
  readonly items: Iterable<Item>;
  /** No two items have the same. At most 512 bytes. */
  readonly idOf: (item: Item) => string;
  /** How many items there are in a page unless Limit says so, and the most that there ever are. */
  readonly limits: { readonly usual: number; readonly most: number };
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Goes into the answer, beside the items. */
  readonly members: { readonly Truncated: boolean; readonly NextMarker?: string };
}

/** The page of a list that is asked for. @throws AwsError InvalidMarkerException */
export function pageOf<Item>({ Limit, Marker }: PageRequest, listing: Listing<Item>): Page<Item> {
  const { name, limits } = listing;
  const after = Marker === undefined ? "" : openMarker(name, Marker);
  const length = Math.min(Limit ?? limits.usual, limits.most);
  const found = firstBehind(after, length + 1, listing);
  const page = found.slice(0, length);
  const items = page.map(({ item }) => item);
  const last = page.at(-1);
  if (last === undefined || page.length === found.length) return { items, members: { Truncated: false } };
  return { items, members: { Truncated: true, NextMarker: sealMarker(name, last.id) } };
}

interface Placed<Item> {
  readonly id: string;
  readonly item: Item;
}

/** The first `count` items behind `after`, in order. In one pass, for lists are long and pages short. */
function firstBehind<Item>(after: string, count: number, { items, idOf }: Listing<Item>): readonly Placed<Item>[] {
  const found: Placed<Item>[] = [];
  for (const item of items) {
    const id = idOf(item);
    const last = found.length < count ? undefined : found.at(-1);
    if (id <= after || (last !== undefined && id > last.id)) continue;
    found.splice(placeOf(id, found), 0, { id, item });
    if (found.length > count) found.pop();
  }
  return found;
}

/** Where `id` belongs in an ordered list. */
function placeOf(id: string, ordered: readonly Placed<unknown>[]): number {
  let [low, high] = [0, ordered.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ordered[middle]?.id ?? "") < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

const DIGEST_BYTES = 16;

const digestOf = (name: readonly string[], id: Uint8Array): Uint8Array =>
  createHash("sha256").update(JSON.stringify(name)).update(id).digest().subarray(0, DIGEST_BYTES);

function sealMarker(name: readonly string[], id: string): string {
  const bytes = Buffer.from(id);
  return Buffer.concat([digestOf(name, bytes), bytes]).toString("base64url");
}

function openMarker(name: readonly string[], marker: string): string {
  const bytes = Buffer.from(marker, "base64url");
  const id = bytes.subarray(DIGEST_BYTES);
  const genuine =
    bytes.toString("base64url") === marker && equalBytes(bytes.subarray(0, DIGEST_BYTES), digestOf(name, id));
  if (!genuine) throw new AwsError("InvalidMarkerException");
  return id.toString();
}
