/** Listening on TCP, where clients are. */
import type { Server } from "node:net";
import { ServiceError } from "../shared/errors.js";
import type { Listening } from "../transport/listen.js";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface ListeningOnTcp {
  /** Where it listens, with the host as an address. */
  readonly address: HostPort;
  readonly listening: Listening;
}

/**
 * Makes `server` listen on a TCP port; port 0 takes a free one.
 * The server's later errors (accept) are the caller's to listen to.
 * @throws ServiceError ERR_ADDRESS.
 */
export async function listenOnTcp(server: Server, { host, port }: HostPort): Promise<ListeningOnTcp> {
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new ServiceError("ERR_ADDRESS", `cannot listen on ${host}:${port}`, { cause }));
    server.once("error", fail).listen({ host, port }, () => {
      server.off("error", fail);
      resolve();
    });
  });
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new TypeError("listenOnTcp: not a TCP server");
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { address: { host: bound.address, port: bound.port }, listening: { close } };
}

/** `HOST:PORT` as in URLs: an IPv6 address stands in brackets. */
export const formatHostPort = ({ host, port }: HostPort): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;
