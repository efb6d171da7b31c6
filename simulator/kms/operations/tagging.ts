/** TagResource, UntagResource and ListResourceTags (API_TagResource, …). */
import { z } from "zod";
import { defineOperation } from "../operation.js";
import { pageMembers, pageOf } from "../pagination.js";
import { keyId, textList } from "../schema.js";
import { assertNotReserved, assertNotTooMany, readTags, tagConditions, tagKeyCondition, tagList } from "../tags.js";
import { assertNotPendingDeletion, demandOn, keyByIdOf } from "./key-access.js";

/** A tag that the key has already gets the new value. */
export const tagResource = defineOperation({
  name: "TagResource",
  readOnly: false,
  input: z.object({ KeyId: keyId, Tags: tagList }),
  subject: (call) => ({ key: keyByIdOf(call), added: readTags(call.input.Tags) }),
  demands: (call, { key, added }) => [demandOn(call, key, "TagResource", tagConditions(added))],
  perform: ({ keys }, { key, added }) => {
    assertNotPendingDeletion(key);
    const tags = new Map([...key.tags, ...added]);
    assertNotTooMany(tags);
    keys.put({ ...key, tags });
    return {};
  },
});

/** A tag that the key has not is no error. */
export const untagResource = defineOperation({
  name: "UntagResource",
  readOnly: false,
  input: z.object({ KeyId: keyId, TagKeys: textList(1, 128) }),
  subject: (call) => {
    const key = keyByIdOf(call);
    assertNotReserved(call.input.TagKeys);
    return key;
  },
  demands: (call, key) => [demandOn(call, key, "UntagResource", tagKeyCondition(call.input.TagKeys))],
  perform: ({ input, keys }, key) => {
    assertNotPendingDeletion(key);
    keys.put({ ...key, tags: new Map([...key.tags].filter(([name]) => !input.TagKeys.includes(name))) });
    return {};
  },
});

export const listResourceTags = defineOperation({
  name: "ListResourceTags",
  readOnly: true,
  input: z.object({ KeyId: keyId, ...pageMembers }),
  subject: keyByIdOf,
  demands: (call, key) => [demandOn(call, key, "ListResourceTags")],
  perform: ({ input }, key) => {
    const { items, members } = pageOf(input, {
      name: ["ListResourceTags", key.arn],
      items: key.tags,
      idOf: ([name]) => name,
      limits: { usual: 50, most: 50 },
    });
    return { Tags: items.map(([TagKey, TagValue]) => ({ TagKey, TagValue })), ...members };
  },
});
