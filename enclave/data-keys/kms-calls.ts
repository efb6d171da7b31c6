/**
 * Attested KMS for the data keys of one message: the three calls of the SDK's keyrings, with the errors that the enclave has,
 * and in another Region when the own one is down. Keyrings know the keys of the own Region. To them every Decrypt was answered
 * by that key, which they insist on; that the related key of the Region asked did answer, the attested client has checked.
 * What is made in another Region carries the ARN of the related key there, and opens in all of them.
 */
import { DecryptCommand, EncryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import type { KmsHealth } from "../health.js";
import type { PinnedKeys } from "../kms/pinned-keys.js";
import type { RegionalKms } from "../kms/regional-kms.js";
import type { DataKeyKms } from "./source.js";

export interface KmsCallsOptions {
  /** For the data keys of messages that exist. */
  readonly opening: RegionalKms;
  /** The keys under which those may be. */
  readonly openingKeys: PinnedKeys;
  /** Makes data keys. @throws ServiceError ERR_GATEWAY_REFUSED where the transport makes none. */
  readonly making: () => RegionalKms;
  /** The keys under which they may be made: no discovered ones. */
  readonly makingKeys: PinnedKeys;
  readonly health: Pick<KmsHealth, "watch">;
}

/**
 * Calls are given up when the signal fires. `KeyId` is the ARN of a key of the own Region; ServiceError ERR_KMS_KEY where it is
 * none of the keys.
 */
export const kmsCalls =
  ({ opening, openingKeys, making, makingKeys, health }: KmsCallsOptions) =>
  (signal: AbortSignal | undefined): DataKeyKms => ({
    decrypt: (request) =>
      health.watch(async () => {
        const key = openingKeys.resolve(request.KeyId ?? "");
        const { Plaintext } = await opening.call({ key, signal }, ({ client, keyId: KeyId, abortSignal }) =>
          client.send(new DecryptCommand({ ...request, KeyId }), { abortSignal }),
        );
        return { KeyId: key.arn, Plaintext };
      }),
    generateDataKey: (request) =>
      health.watch(async () => {
        const key = makingKeys.resolve(request.KeyId);
        return making().call({ key, signal }, ({ client, keyId: KeyId, abortSignal }) =>
          client.send(new GenerateDataKeyCommand({ ...request, KeyId }), { abortSignal }),
        );
      }),
    encrypt: (request) =>
      health.watch(async () => {
        const key = makingKeys.resolve(request.KeyId);
        return making().call({ key, signal }, ({ client, keyId: KeyId, abortSignal }) =>
          client.send(new EncryptCommand({ ...request, KeyId }), { abortSignal }),
        );
      }),
  });
