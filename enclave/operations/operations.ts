/**
 * The enclave's operations on KMS keys, as calls of an attested client: the schemas of shared/wire.ts in, their answers
 * out. They know nothing of HTTP or of the channel that carries them.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import { DecryptCommand, GenerateDataKeyCommand, GenerateRandomCommand } from "@aws-sdk/client-kms";
import { toBase64, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type {
  DataKeyRequest,
  DataKeyResponse,
  DecryptRequest,
  DecryptResponse,
  MessageDecryptRequest,
  MessageDecryptResponse,
  RandomRequest,
  RandomResponse,
} from "../../shared/wire.js";
import { bytesOf } from "../../shared/wire.js";
import type { KmsHealth } from "../health.js";
import type { KmsClients } from "../kms/kms-clients.js";
import type { MessageOpener } from "../kms/messages.js";

export interface OperationsOptions {
  readonly kms: Pick<KmsClients, "operations">;
  readonly messages: MessageOpener;
  readonly health: KmsHealth;
}

/**
 * Each method throws, besides what it names, the ServiceErrors of `attestKms` and `kmsErrorOf`. The bytes that KMS sealed
 * are wiped once they are part of the answer.
 */
export class Operations {
  readonly #options: OperationsOptions;

  constructor(options: OperationsOptions) {
    this.#options = options;
  }

  /** KMS Decrypt. @throws ServiceError ERR_GATEWAY_REFUSED. */
  async decrypt(request: DecryptRequest, signal: AbortSignal): Promise<DecryptResponse> {
    const command = new DecryptCommand({
      CiphertextBlob: bytesOf(request.ciphertext),
      KeyId: request.keyId,
      EncryptionContext: request.encryptionContext,
      EncryptionAlgorithm: request.encryptionAlgorithm,
    });
    const answer = await this.#call((client) => client.send(command, { abortSignal: signal }));
    return { plaintext: taken(answer.Plaintext), keyId: present(answer.KeyId) };
  }

  /** KMS GenerateDataKey. @throws ServiceError ERR_GATEWAY_REFUSED. */
  async generateDataKey(request: DataKeyRequest, signal: AbortSignal): Promise<DataKeyResponse> {
    const command = new GenerateDataKeyCommand({
      KeyId: request.keyId,
      KeySpec: request.keySpec,
      EncryptionContext: request.encryptionContext,
    });
    const answer = await this.#call((client) => client.send(command, { abortSignal: signal }));
    return {
      plaintext: taken(answer.Plaintext),
      ciphertext: toBase64(present(answer.CiphertextBlob)),
      keyId: present(answer.KeyId),
    };
  }

  /** KMS GenerateRandom. @throws ServiceError ERR_GATEWAY_REFUSED. */
  async random(request: RandomRequest, signal: AbortSignal): Promise<RandomResponse> {
    const command = new GenerateRandomCommand({ NumberOfBytes: request.numberOfBytes });
    const answer = await this.#call((client) => client.send(command, { abortSignal: signal }));
    return { random: taken(answer.Plaintext) };
  }

  /** A whole AWS Encryption SDK message: see `MessageOpener.open`. */
  async decryptMessage(request: MessageDecryptRequest, signal: AbortSignal): Promise<MessageDecryptResponse> {
    const message = bytesOf(request.message);
    const expectedContext = request.encryptionContext ?? {};
    const opened = await this.#options.health.watch(() =>
      this.#options.messages.open(message, { expectedContext, signal }),
    );
    return { plaintext: taken(opened.plaintext), encryptionContext: { ...opened.encryptionContext } };
  }

  #call<T>(call: (client: KMSClient) => Promise<T>): Promise<T> {
    const client = this.#options.kms.operations();
    return this.#options.health.watch(() => call(client));
  }
}

/** Base64 of a secret, which is wiped. */
function taken(secret: Uint8Array | undefined): string {
  const bytes = present(secret);
  const text = toBase64(bytes);
  wipe(bytes);
  return text;
}

/** A field that KMS always sends. @throws ServiceError ERR_KMS_ANSWER when it did not. */
function present<T>(field: T | undefined): T {
  if (field === undefined)
    throw new ServiceError("ERR_KMS_ANSWER", "expected a field in the answer of KMS, it is absent");
  return field;
}
