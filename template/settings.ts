/**
 * What the functions need to know besides the enclave's configuration: settings.json, which is part of the image. A byte
 * changed in it changes PCR0 and PCR2, as a byte of code does.
 */
import { z } from "zod";

const schema = z.strictObject({
  cardToken: z.strictObject({
    /** CiphertextBlob of KMS GenerateDataKeyWithoutPlaintext (AES_256), base64: nobody has seen the key. */
    hmacKeyCiphertext: z.base64().min(1),
    /** ARN of the KMS key that encrypted it. */
    keyId: z.string(),
    encryptionContext: z
      .record(z.string(), z.string())
      .refine((context) => !Object.hasOwn(context, "tenant"), "expected no tenant: it is no tenant's data"),
  }),
});

export type Settings = z.infer<typeof schema>;

/** Parses settings.json. @throws ZodError, SyntaxError */
export const parseSettings = (bytes: Uint8Array): Settings =>
  schema.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
