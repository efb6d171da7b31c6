/** The TLS identity that the configuration asks for, with the enclave's own time, its attested KMS, and the parent to ask for renewals. */
import { DecryptCommand } from "@aws-sdk/client-kms";
import { ServiceError } from "../../shared/errors.js";
import type { AttestedTime } from "../attested-time.js";
import type { Clock } from "../clock.js";
import type { TlsConfiguration } from "../configuration.js";
import type { KmsHealth } from "../health.js";
import type { KmsClients } from "../kms/kms-clients.js";
import type { PinnedKeys } from "../kms/pinned-keys.js";
import type { ServicesClient } from "../kms/services.js";
import type { Logger } from "../log.js";
import { createCertificateSource } from "./certificate-source.js";
import { TlsIdentity } from "./tls-identity.js";

export interface TlsIdentityContext {
  readonly time: AttestedTime;
  readonly kms: Pick<KmsClients, "operations">;
  readonly keys: PinnedKeys;
  readonly health: KmsHealth;
  readonly services: ServicesClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/** @throws ServiceError ERR_CERTIFICATE when the configuration contradicts itself. */
export function createTlsIdentity(configuration: TlsConfiguration, context: TlsIdentityContext): TlsIdentity {
  const { time, kms, keys, health, services, clock, log } = context;
  const source = createCertificateSource(configuration, {
    trustedTime: async () => new Date(time.nowMs()),
    openPrivateKey: async (CiphertextBlob, keyId, encryptionContext) => {
      const EncryptionContext = { ...encryptionContext };
      const { Plaintext } = await health.watch(() =>
        kms
          .operations()
          .call({ key: keys.resolve(keyId) }, ({ client, keyId: KeyId, abortSignal }) =>
            client.send(new DecryptCommand({ CiphertextBlob, KeyId, EncryptionContext }), { abortSignal }),
          ),
      );
      if (Plaintext === undefined) throw new ServiceError("ERR_KMS_ANSWER", "expected a plaintext, KMS sent none");
      return Plaintext;
    },
    fetchRenewal: () => services.find({ method: "GET", path: "/tls-certificate", failureCode: "ERR_CERTIFICATE" }),
  });
  return new TlsIdentity({ source, clock, log });
}
