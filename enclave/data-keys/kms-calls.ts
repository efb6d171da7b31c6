/** Attested KMS for the data keys of one message: the three calls of the SDK's keyrings, with the errors that the enclave has. */
import type { KMSClient } from "@aws-sdk/client-kms";
import { DecryptCommand, EncryptCommand, GenerateDataKeyCommand } from "@aws-sdk/client-kms";
import type { KmsHealth } from "../health.js";
import type { DataKeyKms } from "./source.js";

export interface KmsCallsOptions {
  /** An attested client for the data keys of messages that exist. */
  readonly opening: KMSClient;
  /** The attested client that makes data keys. @throws ServiceError ERR_GATEWAY_REFUSED where the transport makes none. */
  readonly making: () => KMSClient;
  readonly health: Pick<KmsHealth, "watch">;
}

/** Calls are given up when the signal fires. */
export const kmsCalls =
  ({ opening, making, health }: KmsCallsOptions) =>
  (signal: AbortSignal | undefined): DataKeyKms => {
    const options = signal ? { abortSignal: signal } : {};
    return {
      decrypt: (request) => health.watch(() => opening.send(new DecryptCommand(request), options)),
      generateDataKey: (request) =>
        health.watch(async () => making().send(new GenerateDataKeyCommand(request), options)),
      encrypt: (request) => health.watch(async () => making().send(new EncryptCommand(request), options)),
    };
  };
