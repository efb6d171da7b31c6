/** ListKeys (API_ListKeys): every key of the caller's account in the Region, in whatever state. */
import { z } from "zod";
import { defineOperation } from "../operation.js";
import { pageMembers, pageOf } from "../pagination.js";
import { enumList } from "../schema.js";

const OWNERS = ["SELF", "OTHER_ACCOUNTS_VIA_RAM"] as const;

export const listKeys = defineOperation({
  name: "ListKeys",
  readOnly: true,
  input: z.object({ ...pageMembers, ResourceOwners: enumList(OWNERS, 1, 2).optional() }),
  subject: () => undefined,
  demands: ({ principal: { accountId } }) => [{ action: "kms:ListKeys", resource: { arn: "*", accountId } }],
  perform: ({ input, keys, principal: { accountId } }) => {
    const owners = input.ResourceOwners ?? ["SELF"];
    const { items, members } = pageOf(input, {
      name: ["ListKeys", keys.region, accountId, ...owners],
      // No account shares keys with another here.
      items: owners.includes("SELF") ? keys.keysOf(accountId) : [],
      idOf: (key) => key.keyId,
      limits: { usual: 100, most: 1000 },
    });
    return { Keys: items.map(({ keyId, arn }) => ({ KeyId: keyId, KeyArn: arn })), ...members };
  },
});
