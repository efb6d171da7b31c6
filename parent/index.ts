/**
 * nitro-decrypt/parent: the part that runs on the parent instance. It relays, tunnels and lends credentials; it sees no
 * plaintext except what the enclave's configuration reveals to it, and no verdict rests on what it does.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import type { Logger } from "pino";
import { pino } from "pino";
import { createApi } from "./api.js";
import type { BranchKeyStore } from "./branch-key-store.js";
import type { CredentialsProvider } from "./credentials.js";
import { createCredentialsSource } from "./credentials.js";
import { EnclavePool } from "./enclave-pool.js";
import type { EnclaveDiscovery, EnclaveTarget } from "./enclaves.js";
import type { HttpApp } from "./http-app.js";
import type { ParentLimits } from "./limits.js";
import { DEFAULT_LIMITS } from "./limits.js";
import type { HostPort } from "./listen.js";
import { formatHostPort, listenOnTcp } from "./listen.js";
import { createMetrics } from "./metrics.js";
import { SeedStore } from "./sealing-seeds.js";
import type { TlsCertificateSource } from "./services.js";
import { createServices } from "./services.js";
import type { TlsOptions } from "./tls.js";
import { createTlsPassThrough } from "./tls.js";
import type { Tunnel, TunnelOptions } from "./tunnel.js";
import { createTunnel } from "./tunnel.js";

export type { BranchKeyStore } from "./branch-key-store.js";
export type { AwsCredentials, CredentialsProvider } from "./credentials.js";
export type { DescribeOptions } from "./describe-enclaves.js";
export { describeEnclaves } from "./describe-enclaves.js";
export type { EnclaveDiscovery, EnclaveTarget } from "./enclaves.js";
export { enclaveOfCid } from "./enclaves.js";
export type { ParentLimits } from "./limits.js";
export type { HostPort } from "./listen.js";
export type { TlsCertificateOffer, TlsCertificateSource } from "./services.js";
export type { TlsOptions } from "./tls.js";
export type { TunnelOptions, TunnelTarget } from "./tunnel.js";

export interface ParentOptions {
  /** The enclaves, listed, or a function that finds them, such as `describeEnclaves`. */
  readonly enclaves: readonly EnclaveTarget[] | EnclaveDiscovery;
  /** Where clients find the HTTP API. Port 0 takes a free one. */
  readonly listen: HostPort;
  /** Address at which the enclave finds credentials and the gateway. */
  readonly services: string;
  /** The tunnel to AWS KMS in the enclave's own Region. */
  readonly tunnel: TunnelOptions;
  /** Those to other Regions, where its configuration has `replicaRegions`. Each has an address and bounds of its own. */
  readonly regionTunnels?: readonly TunnelOptions[] | undefined;
  /** Passes clients' TLS on to the enclave, where its configuration has a TLS channel. */
  readonly tls?: TlsOptions | undefined;
  /** What the enclave is offered as its TLS certificate when it asks for a renewal. */
  readonly tlsCertificate?: TlsCertificateSource | undefined;
  /** Opens the KMS gateway, with the client that makes its calls. */
  readonly gateway?: { readonly client: KMSClient } | undefined;
  /** Where the enclave's records of branch keys are, if its configuration has them. */
  readonly branchKeys?: BranchKeyStore | undefined;
  /** The credentials lent to the enclave; the AWS SDK's default chain unless given. */
  readonly credentials?: CredentialsProvider | undefined;
  /** A folder in which the sealing seeds of fleets outlive this process; in memory alone unless given. */
  readonly seedFolder?: string | undefined;
  /** Where the log goes; nowhere unless given. */
  readonly log?: Logger | undefined;
  readonly limits?: Partial<ParentLimits> | undefined;
  /** Origins (`https://HOST`, literally) whose pages may ask for attestation and send sealed requests; none unless given. */
  readonly allowOrigins?: readonly string[] | undefined;
  readonly clock?: (() => Date) | undefined;
}

export interface Parent {
  /** Of the HTTP API. */
  readonly url: string;
  /** Of the TLS pass-through, where there is one. */
  readonly tlsAddress: HostPort | undefined;
  /** Stops accepting, lets requests to the API finish within `limits.closeDeadlineMs`, then ends TLS, services and tunnels. */
  close(): Promise<void>;
}

/**
 * Starts the parent: tunnels, services, TLS pass-through and API, in this order. No enclave need be there yet.
 * @throws ServiceError ERR_CONFIGURATION (names of enclaves, a tunnel's target is not in its allow-list, a bound is not a
 *   number above 0, there is no such folder for seeds), ERR_ADDRESS (an address that cannot be listened at); whatever was opened before is closed then.
 */
export async function createParent(options: ParentOptions): Promise<Parent> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const log = options.log ?? pino({ enabled: false });
  const clock = options.clock ?? (() => new Date());
  const credentials = createCredentialsSource(options.credentials ?? defaultProvider(), limits.awsDeadlineMs, clock);
  const metrics = createMetrics(() => credentials.ageSeconds());
  const opened: { close(): unknown }[] = [];
  let closed: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    // The API first: requests under way may still need the services and the tunnel.
    for (const part of opened.reverse()) await part.close();
  };
  const close = (): Promise<void> => (closed ??= closeAll());
  try {
    const enclaves = await EnclavePool.create(options.enclaves, { limits, log, metrics });
    opened.push(enclaves);
    const tunnels: Tunnel[] = [];
    for (const one of [options.tunnel, ...(options.regionTunnels ?? [])]) {
      const tunnel = await createTunnel(one, { enclaves, limits, log, metrics });
      opened.push(tunnel);
      tunnels.push(tunnel);
    }
    const { services: address, gateway, tlsCertificate, branchKeys, allowOrigins } = options;
    const seeds = await SeedStore.open({ folder: options.seedFolder, log });
    opened.push(
      await createServices({
        address,
        enclaves,
        credentials,
        gateway,
        tlsCertificate,
        branchKeys,
        seeds,
        limits,
        log,
        metrics,
      }),
    );
    const tls = options.tls && (await createTlsPassThrough(options.tls, { enclaves, limits, log, metrics }));
    if (tls) opened.push(tls);
    const api = createApi({ enclaves, tunnels, credentials, limits, log, metrics, allowOrigins });
    opened.push(api);
    const url = await listenOn(api, options.listen);
    log.info({ url, tls: tls?.address, enclaves: enclaves.all.map(({ target }) => target.name) }, "parent: listening");
    return { url, tlsAddress: tls?.address, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Listens on a TCP port; returns the URL. */
async function listenOn(api: HttpApp, listen: HostPort): Promise<string> {
  let url = "";
  await api.listen(async (server) => {
    const { address, listening } = await listenOnTcp(server, listen);
    url = `http://${formatHostPort(address)}`;
    return listening;
  });
  return url;
}
