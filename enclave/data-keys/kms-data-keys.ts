/**
 * A data key from AWS KMS for every message, as the Encryption SDK does without a cache: Decrypt for each message that is
 * opened, GenerateDataKey for each that is made, and Encrypt for each further key of it.
 */
import type {
  DecryptionRequest,
  EncryptedDataKey,
  EncryptionRequest,
  KeyringNode,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
} from "@aws-crypto/client-node";
import {
  AwsKmsMrkAwareSymmetricKeyringNode,
  MultiKeyringNode,
  NodeDefaultCryptographicMaterialsManager,
} from "@aws-crypto/client-node";
import type { PinnedKey, PinnedKeys } from "../kms/pinned-keys.js";
import type { DataKeySource, DataKeyUse } from "./source.js";

/** The provider id of KMS in encrypted data keys. */
const KMS_PROVIDER_ID = "aws-kms";

export class KmsDataKeys implements DataKeySource {
  readonly #keys: PinnedKeys;

  /** @param keys those whose ciphertexts are opened. */
  constructor(keys: PinnedKeys) {
    this.#keys = keys;
  }

  keyOf({ providerId, providerInfo }: EncryptedDataKey): PinnedKey | undefined {
    return providerId === KMS_PROVIDER_ID ? this.#keys.relatedTo(providerInfo) : undefined;
  }

  decryptMaterials(request: DecryptionRequest, use: DataKeyUse): Promise<NodeDecryptionMaterial> {
    const encryptedDataKeys = request.encryptedDataKeys.filter((one) => isFor(this.keyOf(one), use));
    const manager = new NodeDefaultCryptographicMaterialsManager(keyringOf(use));
    return manager.decryptMaterials({ ...request, encryptedDataKeys }); // a keyring fails at what it does not know
  }

  encryptMaterials(request: EncryptionRequest, use: DataKeyUse): Promise<NodeEncryptionMaterial> {
    return new NodeDefaultCryptographicMaterialsManager(keyringOf(use)).getEncryptionMaterials(request);
  }

  wipe(): undefined {
    return undefined; // nothing is kept
  }
}

const isFor = (key: PinnedKey | undefined, { keys }: DataKeyUse): boolean => keys.some(({ arn }) => arn === key?.arn);

/** The keyrings of the keys that may be used: the first generates, and each opens what is under its key. */
function keyringOf({ keys, kms }: DataKeyUse): KeyringNode {
  const [generator, ...children] = keys.map(
    ({ arn }) => new AwsKmsMrkAwareSymmetricKeyringNode({ client: kms, keyId: arn }),
  );
  if (generator === undefined) throw new TypeError("KmsDataKeys: expected a key that may be used");
  return children.length === 0 ? generator : new MultiKeyringNode({ generator, children });
}
