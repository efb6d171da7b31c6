/** Tags of keys (API_Tag; KMS Developer Guide, "Tags in AWS KMS"): how requests say them, and what policies are told of them. */
import { z } from "zod";
import { AwsError } from "../errors.js";
import type { Conditions } from "./operation.js";

/** Values by key. */
export type Tags = ReadonlyMap<string, string>;

export const tagKey = z.string().min(1).max(128);
export const tagList = z.array(z.object({ TagKey: tagKey, TagValue: z.string().max(256) }));

const MAX_TAGS = 50;
/** What tags of AWS resources may contain (General Reference, "Tagging AWS resources"). */
const CHARACTERS = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** The tags of a request. @throws AwsError TagException */
export function readTags(list: z.infer<typeof tagList>): Tags {
  const tags = new Map(list.map(({ TagKey, TagValue }) => [TagKey, TagValue]));
  if (tags.size < list.length) throw tagError("Duplicate tag keys");
  assertNotReserved(tags.keys());
  if (![...tags].flat().every((text) => CHARACTERS.test(text))) throw tagError("One or more tags are not valid.");
  assertNotTooMany(tags);
  return tags;
}

/** @throws AwsError TagException for the tags that AWS itself gives */
export function assertNotReserved(tagKeys: Iterable<string>): void {
  for (const key of tagKeys) {
    if (key.toLowerCase().startsWith("aws:")) throw tagError("Tags beginning with aws: are reserved");
  }
}

/** @throws AwsError TagException for more than a key can have */
export function assertNotTooMany(tags: Tags): void {
  if (tags.size > MAX_TAGS) throw tagError("Too many tags");
}

const tagError = (message: string): AwsError => new AwsError("TagException", message);

/** `aws:RequestTag/*` and `aws:TagKeys`. */
export function* tagConditions(tags: Tags): Conditions {
  for (const [key, value] of tags) yield [`aws:RequestTag/${key}`, [value]];
  yield* tagKeyCondition([...tags.keys()]);
}

export function* tagKeyCondition(tagKeys: readonly string[]): Conditions {
  if (tagKeys.length > 0) yield ["aws:TagKeys", tagKeys];
}
