/**
 * A KMS tunnel, of which there is one for each Region: what an enclave sends to the tunnel's address goes to one fixed host and port, byte for byte, and
 * back. TLS ends in the enclave, so this end sees only ciphertext and is trusted with nothing. It speaks no protocol of
 * its own, as AWS's vsock-proxy does not, and either may stand in the other's place.
 *
 * Refused: a target that is not literally in the allow-list (an empty list allows nothing), connections beyond the
 * bound. The name is resolved anew for each connection and every address is tried. Whatever goes wrong ends one
 * connection.
 */
import type { LookupFunction, Socket } from "node:net";
import { connect } from "node:net";
import type { Logger } from "pino";
import { ServiceError } from "../shared/errors.js";
import { listenAt } from "../transport/listen.js";
import type { EnclavePool } from "./enclave-pool.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics } from "./metrics.js";
import { createPassThrough } from "./pass-through.js";

export interface TunnelTarget {
  readonly host: string;
  readonly port: number;
}

export interface TunnelOptions {
  /** Address on which the enclave's connections arrive. */
  readonly listen: string;
  readonly target: TunnelTarget;
  /** Where tunnels may lead. The target must be one of these, host and port literally equal. */
  readonly allow: readonly TunnelTarget[];
  /** Connections at a time; further ones are closed at once. */
  readonly maxConnections: number;
}

export interface TunnelContext {
  readonly limits: ParentLimits;
  readonly log: Logger;
  readonly metrics: ParentMetrics;
  /** Whose connections are taken, where the tunnel is on vsock. */
  readonly enclaves: Pick<EnclavePool, "allowPeer">;
  /** Name resolution; the system's unless given. */
  readonly lookup?: LookupFunction | undefined;
}

export interface Tunnel {
  /** Connections at the moment. */
  readonly open: number;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

/** An address that does not answer is given up after this time for the next one. */
const ADDRESS_ATTEMPT_MS = 1_000;

/**
 * Opens the tunnel.
 * @throws ServiceError ERR_CONFIGURATION (the target is not allowed, the bound is not a number above 0), ERR_ADDRESS.
 */
export async function createTunnel(options: TunnelOptions, context: TunnelContext): Promise<Tunnel> {
  assertAllowed(options);
  const { limits, log, metrics } = context;
  const tunnel = createPassThrough({
    name: "tunnel",
    maxConnections: options.maxConnections,
    idleMs: limits.tunnelIdleDeadlineMs,
    totalMs: limits.tunnelTotalDeadlineMs,
    connect: (gone) => connectTarget(options.target, context, gone),
    directions: { forth: "to_target", back: "to_enclave" },
    metrics: { open: metrics.tunnelOpen, connections: metrics.tunnelConnections, bytes: metrics.tunnelBytes },
    log: log.child({ target: options.target }),
  });
  const allowPeer = (cid: number, open: number): boolean =>
    context.enclaves.allowPeer(cid, open, options.maxConnections);
  const listening = await listenAt(tunnel.server, options.listen, { allowPeer });
  tunnel.server.on("error", (error) => log.error({ err: error }, "tunnel: a connection could not be accepted"));
  return {
    get open() {
      return tunnel.open;
    },
    close: () => tunnel.close(listening),
  };
}

/** PITFALLS 24: an empty list allows nothing; names are compared as they are written, not by what they resolve to. */
function assertAllowed({ target, allow }: TunnelOptions): void {
  if (!allow.some(({ host, port }) => host === target.host && port === target.port)) {
    const what = allow.length === 0 ? "the allow-list is empty" : "it is not in the allow-list";
    throw new ServiceError(
      "ERR_CONFIGURATION",
      `the tunnel's target ${target.host}:${target.port} is refused: ${what}`,
    );
  }
}

/** A connection to the target, within the deadline and until `gone` fires. */
function connectTarget(target: TunnelTarget, { limits, lookup }: TunnelContext, gone: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const remote = connect({
      ...target,
      allowHalfOpen: true,
      noDelay: true,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
      ...(lookup ? { lookup } : {}),
    });
    const giveUp = (error: Error): void => {
      settle();
      remote.on("error", ignoreAfterFailure);
      remote.destroy();
      reject(error);
    };
    const onGone = (): void => giveUp(gone.reason);
    const timer = setTimeout(
      () => giveUp(new ServiceError("ERR_TIMEOUT", `not connected within ${limits.tunnelConnectDeadlineMs} ms`)),
      limits.tunnelConnectDeadlineMs,
    );
    const settle = (): void => {
      clearTimeout(timer);
      gone.removeEventListener("abort", onGone);
      remote.off("error", giveUp);
    };
    gone.addEventListener("abort", onGone, { once: true });
    remote.once("error", giveUp).once("connect", () => {
      settle();
      resolve(remote);
    });
  });
}

/** A socket that lost its attempt may still report an error; the attempt's own error has been told already. */
const ignoreAfterFailure = (): undefined => undefined;
