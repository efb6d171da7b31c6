/** Messages of the AWS Encryption SDK, made by the key's administrator as any program would make them. */
import { buildClient, CommitmentPolicy, KmsKeyringNode } from "@aws-crypto/client-node";
import { GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import type { Cloud } from "./stage.js";

/** AES-256-GCM with HKDF-SHA512 and key commitment, unsigned (AWS Encryption SDK, algorithm suites). */
const COMMITTED_SUITE = 0x0478;

export interface MessageBinding {
  readonly keyArn: string;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** `plaintext` as a message under a key, bound to a context. */
export async function encryptMessage(
  { operator }: Pick<Cloud, "operator">,
  { keyArn, encryptionContext }: MessageBinding,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  const keyring = new KmsKeyringNode({
    generatorKeyId: keyArn,
    clientProvider: () => ({
      generateDataKey: (request) => operator.send(new GenerateDataKeyCommand(request)),
      encrypt: notAsked,
      decrypt: notAsked,
    }),
  });
  const commitmentPolicy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
  const sdk = buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
  const options = { encryptionContext, suiteId: COMMITTED_SUITE };
  const { result } = await sdk.encrypt(keyring, plaintext, options);
  return new Uint8Array(result);
}

const notAsked = (): never => {
  throw new TypeError("unreachable: a message for one key needs one data key");
};
