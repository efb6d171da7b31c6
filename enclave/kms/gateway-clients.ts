/**
 * The enclave's KMS clients over the transport *gateway* (kms-gateway.ts), where each carries one command. There is none for
 * operations whose answer the parent could forge, and there is one Region.
 */
import { KMSClient } from "@aws-sdk/client-kms";
import { ServiceError } from "../../shared/errors.js";
import { attestKms } from "./attest-kms.js";
import { availabilityOf, messageKeysOf, regional, settingsFor } from "./client-settings.js";
import type { KmsClients, KmsClientsOptions } from "./kms-clients.js";
import { allowOnly, GatewayHandler } from "./kms-gateway.js";
import type { PinnedKeys } from "./pinned-keys.js";
import type { RegionalKms } from "./regional-kms.js";

export function gatewayClients(options: KmsClientsOptions): KmsClients {
  const { configuration, recipient, services } = options;
  const { region } = configuration.kms;
  const { keys } = configuration;
  const messageKeys = messageKeysOf(configuration);
  const availability = availabilityOf(options);
  const clientFor = (ownKeys: PinnedKeys, command: Parameters<typeof allowOnly>[1]): RegionalKms => {
    const client = new KMSClient({
      ...settingsFor(region),
      requestHandler: new GatewayHandler(services),
      // The parent signs: the enclave has no credentials, and sends its requests as they are.
      credentials: { accessKeyId: "", secretAccessKey: "" },
      signer: { sign: async (request) => request },
    });
    const attested = attestKms(allowOnly(client, command), { keys: ownKeys, lease: () => recipient.lease() });
    return regional([{ region, client: attested }], availability, options);
  };
  const messages = clientFor(messageKeys, "DecryptCommand");
  return {
    operations: refuseGateway,
    ...{ messages, messageKeys, probe: clientFor(keys, "GenerateRandomCommand") },
    regions: undefined,
    close: () => undefined,
  };
}

function refuseGateway(): never {
  throw new ServiceError(
    "ERR_GATEWAY_REFUSED",
    "the gateway transport carries no operation whose answer could be forged",
  );
}
