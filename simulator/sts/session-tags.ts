/**
 * Session tags (IAM User Guide, "Pass session tags in AWS STS"): tags of one session, over those of its role. Transitive
 * ones go on to every session that is made from it, and cannot be set again there.
 */
import { z } from "zod";
import { patterned } from "../kms/schema.js";
import { invalidParameter } from "./errors.js";
import { listOf } from "./operation.js";

const tagKey = patterned("[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+", 1, 128);
const tagValue = patterned("[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*", 0, 256);

export const tags = listOf(z.object({ Key: tagKey, Value: tagValue }), 50);
export const transitiveTagKeys = listOf(tagKey, 50);

export interface SessionTags {
  /** Those of the request. */
  readonly requested: ReadonlyMap<string, string>;
  /** Those that go on from here: the caller's, and of the requested ones those that shall. */
  readonly transitive: ReadonlyMap<string, string>;
}

export interface TagInput {
  readonly Tags?: readonly { readonly Key: string; readonly Value: string }[] | undefined;
  readonly TransitiveTagKeys?: readonly string[] | undefined;
}

/** `inherited`: the transitive tags of the caller's session. @throws AwsError InvalidParameterValue */
export function sessionTags(
  { Tags = [], TransitiveTagKeys = [] }: TagInput,
  inherited: ReadonlyMap<string, string> = new Map(),
): SessionTags {
  const keys = Tags.map(({ Key }) => Key.toLowerCase());
  const isInherited = new Set([...inherited.keys()].map((key) => key.toLowerCase()));
  if (new Set(keys).size < keys.length) {
    throw invalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
  }
  if (keys.some((key) => key.startsWith("aws:"))) {
    throw invalidParameter("aws: prefixed tag key names are not allowed for external use.");
  }
  if (keys.some((key) => isInherited.has(key))) {
    throw invalidParameter(
      "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
    );
  }
  const goingOn = new Set(TransitiveTagKeys.map((key) => key.toLowerCase()));
  if ([...goingOn].some((key) => !keys.includes(key))) {
    throw invalidParameter("The specified transitive tag key must be included in the requested tags.");
  }
  const pairs = Tags.map(({ Key, Value }) => [Key, Value] as const);
  const transitive = pairs.filter(([key]) => goingOn.has(key.toLowerCase()));
  return { requested: new Map(pairs), transitive: new Map([...inherited, ...transitive]) };
}
