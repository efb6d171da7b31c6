/** GetCallerIdentity: who signed. It needs no permission, and no policy takes it away (API_GetCallerIdentity). */
import type { StsOperation } from "../operation.js";

export const getCallerIdentity: StsOperation = {
  name: "GetCallerIdentity",
  run: ({ key }) => {
    const { arn, userId, accountId } = key.principal;
    return { Arn: arn, UserId: userId, Account: accountId };
  },
};
