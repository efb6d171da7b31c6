/** CreateAlias (API_CreateAlias). It needs permission on the alias, from IAM, and on the key. */
import { z } from "zod";
import { AwsError, validationError } from "../../errors.js";
import { resourceOf } from "../key.js";
import { defineOperation } from "../operation.js";
import { keyId, patterned } from "../schema.js";

const DOCUMENTATION = "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html";

export const createAlias = defineOperation({
  name: "CreateAlias",
  readOnly: false,
  input: z.object({ AliasName: patterned("[a-zA-Z0-9:/_-]+").min(1).max(256), TargetKeyId: keyId }),
  subject: ({ input, keys, principal }) => {
    assertAliasName(input.AliasName);
    if (input.TargetKeyId.includes("alias/")) throw validationError("Aliases must refer to keys. Not aliases");
    return keys.resolve(input.TargetKeyId, principal.accountId);
  },
  demands: ({ input, keys, principal }, key) => [
    {
      action: "kms:CreateAlias",
      resource: { arn: keys.aliasArn(principal.accountId, input.AliasName), accountId: principal.accountId },
    },
    { action: "kms:CreateAlias", resource: resourceOf(key), conditions: [["kms:RequestAlias", [input.AliasName]]] },
  ],
  perform: ({ input, keys, principal, now }, { keyId: targetKeyId }) => {
    const { accountId } = principal;
    const [name, arn] = [input.AliasName, keys.aliasArn(accountId, input.AliasName)];
    keys.addAlias({ arn, name, accountId, targetKeyId, creationDate: now, lastUpdatedDate: now });
    return {};
  },
});

function assertAliasName(name: string): void {
  if (!name.startsWith("alias/") || name === "alias/") {
    throw validationError(`Alias must start with the prefix "alias/". Please see ${DOCUMENTATION}`);
  }
  if (name.startsWith("alias/aws/")) throw new AwsError("NotAuthorizedException");
  if (name.includes(":")) throw validationError(`${name} contains invalid characters for an alias`);
}
