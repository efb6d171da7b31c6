/** Pages of a list (`Limit`, `Marker`, `Truncated`, `NextMarker`), which hold while entries come and go between them. */
import { z } from "zod";
import { AwsError } from "../errors.js";
import { patterned } from "./schema.js";

/** The members of a request that say which page. */
export const pageMembers = {
  Limit: z.int().min(1).max(1000).optional(),
  Marker: patterned("[\\u0020-\\u00FF]*").min(1).max(1024).optional(),
};

export interface PageRequest {
  readonly Limit?: number | undefined;
  readonly Marker?: string | undefined;
}

export interface Page<Entry> {
  readonly entries: readonly Entry[];
  /** The members of an answer that say whether there is more. */
  readonly more: { readonly Truncated: boolean; readonly NextMarker?: string };
}

const DEFAULT_LIMIT = 50;
const MARKER_PREFIX = "after:";

/**
 * A page of `entries` in the order of their positions, of which no two are equal; never more than `maximum`.
 * @throws AwsError InvalidMarkerException
 */
export function pageOf<Entry>(
  entries: Iterable<Entry>,
  positionOf: (entry: Entry) => string,
  { Limit = DEFAULT_LIMIT, Marker }: PageRequest,
  maximum = 1000,
): Page<Entry> {
  const after = Marker === undefined ? "" : parseMarker(Marker);
  const rest = [...entries]
    .map((entry) => ({ entry, position: positionOf(entry) }))
    .filter(({ position }) => position > after)
    .sort((a, b) => (a.position < b.position ? -1 : 1));
  const page = rest.slice(0, Math.min(Limit, maximum));
  const last = page.at(-1);
  return {
    entries: page.map(({ entry }) => entry),
    more:
      last !== undefined && rest.length > page.length
        ? { Truncated: true, NextMarker: Buffer.from(MARKER_PREFIX + last.position).toString("base64url") }
        : { Truncated: false },
  };
}

function parseMarker(marker: string): string {
  const text = Buffer.from(marker, "base64url").toString();
  if (!text.startsWith(MARKER_PREFIX)) throw new AwsError("InvalidMarkerException");
  return text.slice(MARKER_PREFIX.length);
}
