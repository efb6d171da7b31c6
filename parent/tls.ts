/**
 * The TLS pass-through: what clients send to a TCP port goes to the enclave's TLS address, byte for byte, and back. TLS
 * ends in the enclave, whose key the clients check by attestation; this end has no certificate and sees only ciphertext.
 *
 * With several enclaves they take turns; where one does not take the connection, the next one is asked.
 *
 * Refused: connections beyond the bound. Whatever goes wrong, no enclave that is there included, ends one connection.
 */
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { ServiceError } from "../shared/errors.js";
import type { ConnectOptions } from "../transport/connect.js";
import { connectTo } from "../transport/connect.js";
import type { EnclavePool, PooledEnclave } from "./enclave-pool.js";
import type { ParentLimits } from "./limits.js";
import type { HostPort } from "./listen.js";
import { listenOnTcp } from "./listen.js";
import type { ParentMetrics } from "./metrics.js";
import { createPassThrough } from "./pass-through.js";

export interface TlsOptions {
  /** Where clients connect. Port 0 takes a free one. */
  readonly listen: HostPort;
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
  /** Those whose TLS clients are passed on to, in turn: whom a connection leads to, its own attestation says. */
  readonly enclaves: Pick<EnclavePool, "next">;
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
}

/**
 * Opens the pass-through. The enclave need not be there yet.
 * @throws ServiceError ERR_CONFIGURATION (the bound is not a number above 0), ERR_ADDRESS.
 */
export async function createTlsPassThrough(options: TlsOptions, context: TlsContext): Promise<TlsPassThrough> {
  const { enclaves, limits, log, metrics } = context;
  const passThrough = createPassThrough({
    name: "tls",
    maxConnections: options.maxConnections,
    idleMs: limits.tlsIdleDeadlineMs,
    totalMs: limits.tlsTotalDeadlineMs,
    connect: (signal) => connectToOne(enclaves, { deadlineMs: limits.tlsConnectDeadlineMs, signal }),
    directions: { forth: "to_enclave", back: "to_client" },
    metrics: { open: metrics.tlsOpen, connections: metrics.tlsConnections, bytes: metrics.tlsBytes },
    log,
  });
  const { address, listening } = await listenOnTcp(passThrough.server, options.listen);
  passThrough.server.on("error", (error) => log.error({ err: error }, "tls: a connection could not be accepted"));
  return {
    address,
    get open() {
      return passThrough.open;
    },
    close: () => passThrough.close(listening),
  };
}

/**
 * A connection to the first enclave, in turn, that has an address for TLS and takes it. That one does not says nothing of its
 * HTTP: its configuration may have no TLS channel.
 * @throws ServiceError ERR_ENCLAVE_UNAVAILABLE, ERR_TIMEOUT: that of the last that was asked; the signal's reason.
 */
async function connectToOne(
  enclaves: Pick<EnclavePool, "next">,
  options: Pick<ConnectOptions, "deadlineMs"> & { readonly signal: AbortSignal },
): Promise<Duplex> {
  const asked = new Set<PooledEnclave>();
  let failure: unknown = new ServiceError("ERR_ENCLAVE_UNAVAILABLE", "no enclave is known that has an address for TLS");
  for (let enclave = enclaves.next(asked); enclave !== undefined; enclave = enclaves.next(asked)) {
    asked.add(enclave);
    if (enclave.target.tls === undefined) continue;
    try {
      return await connectTo(enclave.target.tls, { ...options, failureCode: "ERR_ENCLAVE_UNAVAILABLE" });
    } catch (error) {
      if (options.signal.aborted) throw error;
      failure = error;
    }
  }
  throw failure;
}
