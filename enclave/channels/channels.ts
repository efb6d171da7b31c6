/**
 * The enclave's entrances, wired to one router: the parent's plain channel with sealed requests in it, and attested TLS
 * where the configuration has it.
 */
import { PARENT_CID, parseAddress } from "../../shared/address.js";
import type { EndpointKeys } from "../../shared/attestation/endpoint-keys.js";
import { listenAt } from "../../transport/listen.js";
import type { AttestedTime } from "../attested-time.js";
import type { Clock } from "../clock.js";
import type { Configuration } from "../configuration.js";
import { Gate } from "../gate.js";
import type { Logger } from "../log.js";
import type { Router } from "../operations/router.js";
import { ReplayStore } from "../replay-store.js";
import type { SealedKeys } from "../sealing/sealed-keys.js";
import { parentChannel } from "./parent-channel.js";
import { RequestLog } from "./request-log.js";
import { SealedChannel } from "./sealed.js";
import type { ServedChannel } from "./server.js";
import { EnclaveServer } from "./server.js";
import { tlsChannel } from "./tls-channel.js";
import type { TlsIdentity } from "./tls-identity.js";

/** The keys of the entrances. */
export interface ChannelKeys {
  readonly sealed: SealedKeys;
  /** Undefined where the enclave serves no TLS. */
  readonly tls: TlsIdentity | undefined;
}

export interface ChannelAddresses {
  readonly listen: string;
  readonly tls: string | undefined;
  /** Where the parent is: on vsock nobody else may connect. */
  readonly services: string;
}

export interface ChannelsOptions {
  readonly configuration: Configuration;
  readonly router: Router;
  readonly keys: ChannelKeys;
  /** As in this enclave's documents. */
  readonly moduleId: string;
  readonly addresses: ChannelAddresses;
  readonly time: AttestedTime;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The keys that a document binds: those in use, and of a TLS connection the one that it was served with. */
export const endpointKeysOf = ({ sealed, tls }: ChannelKeys, connectionKey: Uint8Array | undefined): EndpointKeys => ({
  keyConfigurations: sealed.published,
  tlsKey: connectionKey ?? tls?.current?.spki,
});

/** The servers of all entrances, not yet listening. */
export function createServers(options: ChannelsOptions): EnclaveServer[] {
  const { configuration, clock, addresses, keys, router } = options;
  const { maxConcurrentRequests, requestDeadlineSeconds } = configuration.limits;
  const log = new RequestLog(options.log, clock);
  const places = { maxConcurrent: maxConcurrentRequests, maxQueued: 0 };
  const gates = { guarded: new Gate("requests", places), open: new Gate("requests of anybody", places) };
  const parentCid = parentCidOf(addresses.services);
  const at = (address: string): ServedChannel["listen"] => {
    return (server) => listenAt(server, address, { allowPeer: (cid) => cid === parentCid });
  };
  const channels: ServedChannel[] = [parentChannel(router, createSealed(options, log), at(addresses.listen))];
  if (keys.tls && addresses.tls !== undefined) channels.push(tlsChannel(router, keys.tls, at(addresses.tls)));
  const requestDeadlineMs = requestDeadlineSeconds * 1_000;
  return channels.map((channel) => new EnclaveServer({ channel, gates, requestDeadlineMs, clock, log }));
}

function parentCidOf(services: string): number {
  const address = parseAddress(services);
  return address.kind === "vsock" ? address.cid : PARENT_CID;
}

/** A request is good from a window before its date to a window after it, so it is remembered for two; a third is for corrections of the time. */
const WINDOWS_REMEMBERED = 3;

function createSealed(options: ChannelsOptions, log: RequestLog): SealedChannel {
  const { configuration, router, keys, moduleId, time, clock } = options;
  const { windowSeconds, maxRemembered, shared } = configuration.channels.sealed;
  const enclave = { moduleId, isShared: shared !== undefined };
  const lifetimeMs = WINDOWS_REMEMBERED * windowSeconds * 1_000;
  const replays = new ReplayStore("a sealed request", clock, { lifetimeMs, maxEntries: maxRemembered });
  const nowMs = (): number => time.nowMs();
  return new SealedChannel({ keys: keys.sealed, enclave, router, replays, windowSeconds, nowMs, clock, log });
}
