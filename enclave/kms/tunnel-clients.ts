/**
 * The enclave's KMS clients over the transport *tunnel* (kms-tunnel.ts): for each Region a handler with a tunnel of its own,
 * over which two clients go. One is for everything that hands KMS's answers on; the other one decrypts data keys of messages, perhaps
 * under keys that are discovered, and refuses all else.
 */
import { KMSClient } from "@aws-sdk/client-kms";
import { amazonRoots } from "./amazon-roots.js";
import { attestKms } from "./attest-kms.js";
import { availabilityOf, messageKeysOf, regional, settingsFor } from "./client-settings.js";
import type { KmsClients, KmsClientsOptions } from "./kms-clients.js";
import { kmsHostname } from "./kms-endpoint.js";
import { allowOnly } from "./kms-gateway.js";
import { TUNNEL_DEADLINES, TunnelHandler } from "./kms-tunnel.js";
import type { PinnedKeys } from "./pinned-keys.js";
import type { RegionClient } from "./regional-kms.js";

export function tunnelClients(options: KmsClientsOptions): KmsClients {
  const { configuration } = options;
  const { keys, regions } = configuration;
  const messageKeys = messageKeysOf(configuration);
  const ways = regions.map((region) => ({ region, handler: tunnelHandler(region, options) }));
  const availability = availabilityOf(options);
  const operations = regional(ways.map(clientFor(keys, options)), availability, options);
  const messageClients = ways.map(clientFor(messageKeys, options, decryptsOnly));
  const messages = regional(messageClients, availability, options);
  return {
    operations: () => operations,
    ...{ messages, messageKeys, probe: operations },
    get regions() {
      return regions.length > 1 ? availability.state : undefined;
    },
    close: () => {
      for (const { handler } of ways) handler.destroy();
    },
  };
}

/** The way to a Region. */
interface Way {
  readonly region: string;
  readonly handler: TunnelHandler;
}

const decryptsOnly = (client: KMSClient): KMSClient => allowOnly(client, "DecryptCommand");

/** Makes the client of each Region, attested for those of the keys that are there. */
function clientFor(
  keys: PinnedKeys,
  { configuration, recipient, credentials }: KmsClientsOptions,
  restricted = (client: KMSClient): KMSClient => client,
): (way: Way) => RegionClient {
  // "memoized" is the SDK's mark for providers that cache by themselves; without it, it would keep a copy of its own.
  const provider = Object.assign(() => credentials.get(), { memoized: true });
  return ({ region, handler }) => {
    const there = region === configuration.kms.region ? keys : keys.inRegion(region);
    if (there === undefined) throw new TypeError(`no key has a replica in ${region}`); // regionsOf names no such Region
    const settings = { ...settingsFor(region), credentials: provider, requestHandler: handler };
    const client = attestKms(restricted(new KMSClient(settings)), { keys: there, lease: () => recipient.lease() });
    return { region, client };
  };
}

function tunnelHandler(region: string, options: KmsClientsOptions): TunnelHandler {
  const { configuration, tunnel, regionTunnels = {}, onDate } = options;
  const { kms, limits } = configuration;
  const address = region === kms.region ? tunnel : regionTunnels[region];
  if (address === undefined) throw new TypeError(`no tunnel to ${region}`); // createKmsClients has seen to that
  return new TunnelHandler({
    address,
    hostname: kmsHostname(region),
    roots: kms.roots === "amazon" ? amazonRoots() : kms.roots,
    limits: { ...TUNNEL_DEADLINES, maxConnections: limits.maxKmsConnections, maxQueued: limits.maxQueuedKmsRequests },
    ...(onDate ? { onDate } : {}),
  });
}
