/** GenerateRandom (API_GenerateRandom). It is about no key: identity policies decide, with `*` as the resource. */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { validationError } from "../../errors.js";
import { defineOperation, secretAnswer } from "../operation.js";
import { recipient } from "../schema.js";
import { customKeyStoreId, refuseCustomKeyStore } from "./custom-key-stores.js";

export const generateRandom = defineOperation({
  name: "GenerateRandom",
  readOnly: true,
  input: z.object({
    NumberOfBytes: z.int().min(1).max(1024).optional(),
    CustomKeyStoreId: customKeyStoreId.optional(),
    Recipient: recipient,
  }),
  subject: () => undefined,
  demands: ({ principal }) => [
    { action: "kms:GenerateRandom", resource: { arn: "*", accountId: principal.accountId } },
  ],
  perform: (call) => {
    const { NumberOfBytes, CustomKeyStoreId } = call.input;
    if (CustomKeyStoreId !== undefined) refuseCustomKeyStore();
    if (NumberOfBytes === undefined) throw validationError("NumberOfBytes is required.");
    return secretAnswer(call, "Plaintext", randomBytes(NumberOfBytes));
  },
});
