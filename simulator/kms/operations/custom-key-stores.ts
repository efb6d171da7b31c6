/**
 * The operations on custom key stores (KMS Developer Guide, "Key stores"), for which this KMS has neither an AWS CloudHSM
 * cluster nor an external key manager: each is validated and authorised, and then not supported.
 */
import { z } from "zod";
import { unsupported } from "../../errors.js";
import { defineOperation } from "../operation.js";
import { pageMembers } from "../pagination.js";

export const customKeyStoreId = z.string().min(1).max(64);

/** @throws AwsError UnsupportedOperationException, always */
export function refuseCustomKeyStore(): never {
  throw unsupported("Custom key stores are not supported by this simulated KMS.");
}

const storeName = z.string().min(1).max(256);
const store = { CustomKeyStoreId: customKeyStoreId };

export const createCustomKeyStore = refused("CreateCustomKeyStore", { CustomKeyStoreName: storeName });
export const describeCustomKeyStores = refused("DescribeCustomKeyStores", {
  CustomKeyStoreId: customKeyStoreId.optional(),
  CustomKeyStoreName: storeName.optional(),
  ...pageMembers,
});
export const updateCustomKeyStore = refused("UpdateCustomKeyStore", {
  ...store,
  NewCustomKeyStoreName: storeName.optional(),
});
export const connectCustomKeyStore = refused("ConnectCustomKeyStore", store);
export const disconnectCustomKeyStore = refused("DisconnectCustomKeyStore", store);
export const deleteCustomKeyStore = refused("DeleteCustomKeyStore", store);

/** Members that are not listed, among them passwords, are dropped unread. */
function refused(name: string, shape: z.ZodRawShape) {
  return defineOperation({
    name,
    readOnly: name.startsWith("Describe"),
    input: z.object(shape),
    subject: () => undefined,
    demands: ({ principal: { accountId } }) => [{ action: `kms:${name}`, resource: { arn: "*", accountId } }],
    perform: refuseCustomKeyStore,
  });
}
