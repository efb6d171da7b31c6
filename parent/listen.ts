/** Listening on TCP, where clients are. */
import type { Server } from "node:net";
import { ServiceError } from "../shared/errors.js";

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * Makes `server` listen on a TCP port; port 0 takes a free one. Returns where it listens, with the host as an address.
 * The server's later errors (accept) are the caller's to listen to.
 * @throws ServiceError ERR_ADDRESS.
 */
export async function listenOnTcp(server: Server, { host, port }: HostPort): Promise<HostPort> {
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
  return { host: bound.address, port: bound.port };
}

/** `HOST:PORT` as in URLs: an IPv6 address stands in brackets. */
export const formatHostPort = ({ host, port }: HostPort): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`;
