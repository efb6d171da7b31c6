/**
 * The enclave's KMS clients: the SDK's own, attested, over the transport that the configuration names. What depends on
 * the environment in the SDK (endpoint, retry mode, proxies, profiles) is set here, so that the measured configuration
 * alone decides.
 */
import type { KMSClientConfig } from "@aws-sdk/client-kms";
import { KMSClient } from "@aws-sdk/client-kms";
import { ServiceError } from "../../shared/errors.js";
import type { Configuration } from "../configuration.js";
import { amazonRoots } from "./amazon-roots.js";
import { attestKms } from "./attest-kms.js";
import type { CredentialsCache } from "./credentials.js";
import { kmsHostname } from "./kms-endpoint.js";
import { allowOnly, GatewayHandler } from "./kms-gateway.js";
import { TUNNEL_DEADLINES, TunnelHandler } from "./kms-tunnel.js";
import type { Recipient } from "./recipient.js";
import type { ServicesClient } from "./services.js";

/** Clients by what they are for. */
export interface KmsClients {
  /**
   * For the operations that hand KMS's answers on.
   * @throws ServiceError ERR_GATEWAY_REFUSED where the transport is the gateway.
   */
  operations(): KMSClient;
  /** For the data keys of AWS Encryption SDK messages. */
  readonly messages: KMSClient;
  /** For the readiness probe. */
  readonly probe: KMSClient;
  /** Closes connections. */
  close(): void;
}

export interface KmsClientsOptions {
  readonly configuration: Configuration;
  readonly recipient: Recipient;
  readonly credentials: Pick<CredentialsCache, "get">;
  readonly services: ServicesClient;
  /** Where the parent's tunnel listens. */
  readonly tunnel: string;
  /** Told the `Date` header of each answer that KMS itself gave (over the gateway the parent would be its source). */
  readonly onDate?: (date: string | undefined) => void;
}

export function createKmsClients(options: KmsClientsOptions): KmsClients {
  return options.configuration.kms.transport === "tunnel" ? tunnelClients(options) : gatewayClients(options);
}

function tunnelClients({ configuration, recipient, credentials, tunnel, onDate }: KmsClientsOptions): KmsClients {
  const { kms, limits } = configuration;
  const requestHandler = new TunnelHandler({
    address: tunnel,
    hostname: kmsHostname(kms.region),
    roots: kms.roots === "amazon" ? amazonRoots() : kms.roots,
    limits: { ...TUNNEL_DEADLINES, maxConnections: limits.maxKmsConnections, maxQueued: limits.maxQueuedKmsRequests },
    ...(onDate ? { onDate } : {}),
  });
  // "memoized" is the SDK's mark for providers that cache by themselves; without it, it would keep a copy of its own.
  const provider = Object.assign(() => credentials.get(), { memoized: true });
  const client = attestKms(new KMSClient({ ...common(kms.region), credentials: provider, requestHandler }), recipient);
  return { operations: () => client, messages: client, probe: client, close: () => requestHandler.destroy() };
}

function gatewayClients({ configuration, recipient, services }: KmsClientsOptions): KmsClients {
  const create = () =>
    new KMSClient({
      ...common(configuration.kms.region),
      requestHandler: new GatewayHandler(services),
      // The parent signs: the enclave has no credentials, and sends its requests as they are.
      credentials: { accessKeyId: "", secretAccessKey: "" },
      signer: { sign: async (request) => request },
    });
  return {
    operations: () => {
      throw new ServiceError(
        "ERR_GATEWAY_REFUSED",
        "the gateway transport carries no operation whose answer could be forged",
      );
    },
    messages: attestKms(allowOnly(create(), "DecryptCommand"), recipient),
    probe: attestKms(allowOnly(create(), "GenerateRandomCommand"), recipient),
    close: () => undefined,
  };
}

const MAX_ATTEMPTS = 3;

const common = (region: string): KMSClientConfig => ({
  region,
  endpoint: `https://${kmsHostname(region)}`,
  maxAttempts: MAX_ATTEMPTS,
  retryMode: "standard",
  defaultsMode: "standard",
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  authSchemePreference: ["aws.auth#sigv4"],
  disableClockSkewCorrection: false, // the enclave's clock may be wrong: KMS's own Date then serves for the signature
  userAgentAppId: async () => undefined,
});
