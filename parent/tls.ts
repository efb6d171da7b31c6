/**
 * The TLS pass-through: what clients send to a TCP port goes to the enclave's TLS address, byte for byte, and back. TLS
 * ends in the enclave, whose key the clients check by attestation; this end has no certificate and sees only ciphertext.
 *
 * Refused: connections beyond the bound. Whatever goes wrong, an enclave that is not there included, ends one connection.
 */
import type { Logger } from "pino";
import { assertOpenable, connectTo } from "../transport/streams.js";
import type { ParentLimits } from "./limits.js";
import type { HostPort } from "./listen.js";
import { listenOnTcp } from "./listen.js";
import type { ParentMetrics } from "./metrics.js";
import { createPassThrough } from "./pass-through.js";

export interface TlsOptions {
  /** Where clients connect. Port 0 takes a free one. */
  readonly listen: HostPort;
  /** The address at which the enclave's TLS channel listens. */
  readonly enclave: string;
  /** Connections at a time; further ones are closed at once. */
  readonly maxConnections: number;
}

export interface TlsPassThrough {
  /** Where it listens. */
  readonly address: HostPort;
  /** Connections at the moment. */
  readonly open: number;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

export interface TlsContext {
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
}

/**
 * Opens the pass-through. The enclave need not be there yet.
 * @throws ServiceError ERR_CONFIGURATION (the bound is not a number above 0), ERR_ADDRESS.
 */
export async function createTlsPassThrough(options: TlsOptions, context: TlsContext): Promise<TlsPassThrough> {
  const { limits, log, metrics } = context;
  assertOpenable(options.enclave);
  const passThrough = createPassThrough({
    name: "tls",
    maxConnections: options.maxConnections,
    idleMs: limits.tlsIdleDeadlineMs,
    totalMs: limits.tlsTotalDeadlineMs,
    connect: (signal) =>
      connectTo(options.enclave, {
        deadlineMs: limits.tlsConnectDeadlineMs,
        signal,
        failureCode: "ERR_ENCLAVE_UNAVAILABLE",
      }),
    directions: { forth: "to_enclave", back: "to_client" },
    metrics: { open: metrics.tlsOpen, connections: metrics.tlsConnections, bytes: metrics.tlsBytes },
    log,
  });
  const address = await listenOnTcp(passThrough.server, options.listen);
  passThrough.server.on("error", (error) => log.error({ err: error }, "tls: a connection could not be accepted"));
  return {
    address,
    get open() {
      return passThrough.open;
    },
    close: () => passThrough.close(),
  };
}
