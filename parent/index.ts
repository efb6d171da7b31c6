/**
 * nitro-decrypt/parent: the part that runs on the parent instance. It relays, tunnels and lends credentials; it sees no
 * plaintext except what the enclave's configuration reveals to it, and no verdict rests on what it does.
 */
import type { AddressInfo } from "node:net";
import type { KMSClient } from "@aws-sdk/client-kms";
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import type { Logger } from "pino";
import { pino } from "pino";
import { ServiceError } from "../shared/errors.js";
import { createApi } from "./api.js";
import type { CredentialsProvider } from "./credentials.js";
import { createCredentialsSource } from "./credentials.js";
import { createEnclaveClient } from "./enclave-client.js";
import type { HttpApp } from "./http-app.js";
import type { ParentLimits } from "./limits.js";
import { DEFAULT_LIMITS } from "./limits.js";
import { createMetrics } from "./metrics.js";
import { createServices } from "./services.js";
import type { TunnelOptions } from "./tunnel.js";
import { createTunnel } from "./tunnel.js";

export type { AwsCredentials, CredentialsProvider } from "./credentials.js";
export type { ParentLimits } from "./limits.js";
export type { TunnelOptions, TunnelTarget } from "./tunnel.js";

export interface ParentOptions {
  /** The enclave's address. */
  readonly enclave: string;
  /** Where clients find the HTTP API. Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Address at which the enclave finds credentials and the gateway. */
  readonly services: string;
  readonly tunnel: TunnelOptions;
  /** Opens the KMS gateway, with the client that makes its calls. */
  readonly gateway?: { readonly client: KMSClient } | undefined;
  /** The credentials lent to the enclave; the AWS SDK's default chain unless given. */
  readonly credentials?: CredentialsProvider | undefined;
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
  /** Stops accepting, lets requests under way finish within `limits.closeDeadlineMs`, then ends tunnel and services. */
  close(): Promise<void>;
}

/**
 * Starts the parent: tunnel, services and API, in this order. The enclave need not be there yet.
 * @throws ServiceError ERR_CONFIGURATION (the tunnel's target is not in its allow-list), ERR_ADDRESS (an address that
 *   cannot be listened at); whatever was opened before is closed then.
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
    const enclave = createEnclaveClient(options.enclave, limits, (answered) => metrics.enclaveUp.set(answered ? 1 : 0));
    opened.push(enclave);
    const tunnel = await createTunnel(options.tunnel, { limits, log, metrics });
    opened.push(tunnel);
    const { services: address, gateway } = options;
    opened.push(await createServices({ address, credentials, gateway, limits, log, metrics }));
    const { allowOrigins } = options;
    const api = createApi({ enclave, tunnel, credentials, limits, log, metrics, allowOrigins });
    opened.push(api);
    const url = await listenOn(api, options.listen);
    api.server.on("error", (error) => log.error({ err: error }, "api: a connection could not be accepted"));
    log.info({ url, enclave: options.enclave }, "parent: listening");
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Listens on a TCP port; returns the URL. */
async function listenOn({ app, server }: HttpApp, { host, port }: ParentOptions["listen"]): Promise<string> {
  await app.ready();
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new ServiceError("ERR_ADDRESS", `cannot listen on ${host}:${port}`, { cause }));
    server.once("error", fail).listen({ host, port }, () => {
      server.off("error", fail);
      resolve();
    });
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new TypeError("listenOn: not a TCP server");
  return urlOf(bound);
}

const urlOf = ({ address, family, port }: AddressInfo): string =>
  `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
