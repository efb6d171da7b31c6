/** The KMS clients of the transport that the configuration names. */
import { ServiceError } from "../../shared/errors.js";
import { gatewayClients } from "./gateway-clients.js";
import type { KmsClients, KmsClientsOptions } from "./kms-clients.js";
import { tunnelClients } from "./tunnel-clients.js";

/** @throws ServiceError ERR_CONFIGURATION when a tunnel is missing or superfluous. */
export function createKmsClients(options: KmsClientsOptions): KmsClients {
  assertTunnels(options);
  return options.configuration.kms.transport === "tunnel" ? tunnelClients(options) : gatewayClients(options);
}

/** A tunnel that nobody uses is as likely a mistake as one that is missing. */
function assertTunnels({ configuration: { regions }, regionTunnels = {} }: KmsClientsOptions): void {
  const [, ...others] = regions;
  const given = Object.keys(regionTunnels);
  if (given.length === others.length && others.every((region) => given.includes(region))) return;
  const expected = others.length === 0 ? "none" : others.join(", ");
  throw new ServiceError(
    "ERR_CONFIGURATION",
    `tunnels to further Regions: expected those that kms.keys names in replicaRegions, ${expected}`,
  );
}
