/** ListAliases (API_ListAliases): the aliases of the caller's account in the Region, or those of one of its keys. */
import { z } from "zod";
import { notFound } from "../../errors.js";
import type { Alias } from "../change.js";
import type { KmsKey } from "../key.js";
import type { Call } from "../operation.js";
import { defineOperation } from "../operation.js";
import { pageMembers, pageOf } from "../pagination.js";
import { keyId } from "../schema.js";
import { keyByIdOf } from "./key-access.js";

const input = z.object({ KeyId: keyId.optional(), ...pageMembers });

export const listAliases = defineOperation({
  name: "ListAliases",
  readOnly: true,
  input,
  subject: ownKeyOf,
  demands: ({ principal: { accountId } }) => [{ action: "kms:ListAliases", resource: { arn: "*", accountId } }],
  perform: ({ input, keys, principal: { accountId } }, key) => {
    const { items, members } = pageOf(input, {
      name: ["ListAliases", keys.region, accountId, key?.keyId ?? ""],
      items: keys.aliasesIn(accountId).filter(({ targetKeyId }) => key === undefined || targetKeyId === key.keyId),
      idOf: (alias) => alias.name,
      limits: { usual: 50, most: 100 },
    });
    return { Aliases: items.map(listEntry), ...members };
  },
});

/** The key that the request asks about. Of another account's there is nothing to be seen. @throws AwsError NotFoundException */
function ownKeyOf(call: Call<z.infer<typeof input>>): KmsKey | undefined {
  const { KeyId } = call.input;
  if (KeyId === undefined) return undefined;
  const key = keyByIdOf({ ...call, input: { KeyId } });
  if (key.accountId !== call.principal.accountId) throw notFound(`Key '${key.arn}' does not exist`);
  return key;
}

/** API_AliasListEntry. */
const listEntry = ({ arn, name, targetKeyId, creationDate, lastUpdatedDate }: Alias) => ({
  AliasName: name,
  AliasArn: arn,
  TargetKeyId: targetKeyId,
  CreationDate: creationDate,
  LastUpdatedDate: lastUpdatedDate,
});
