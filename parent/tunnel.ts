/**
 * The KMS tunnel: what an enclave sends to the tunnel's address goes to one fixed host and port, byte for byte, and
 * back. TLS ends in the enclave, so this end sees only ciphertext and is trusted with nothing. It speaks no protocol of
 * its own, as AWS's vsock-proxy does not, and either may stand in the other's place.
 *
 * Refused: a target that is not literally in the allow-list (an empty list allows nothing), connections beyond the
 * bound. The name is resolved anew for each connection and every address is tried. Whatever goes wrong ends one
 * connection.
 */
import type { LookupFunction, Socket } from "node:net";
import { connect, createServer } from "node:net";
import type { Logger } from "pino";
import { ServiceError, toServiceError } from "../shared/errors.js";
import { listenAt } from "../vsock/transport.js";
import type { ParentLimits } from "./limits.js";
import type { ParentMetrics, TunnelOutcome } from "./metrics.js";
import { joinStreams } from "./pipe.js";

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
  const { log, metrics } = context;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    // From here until its end: a socket without such a listener would end the process. The outcome is told below.
    client.on("error", (error) => log.debug({ err: error }, "tunnel: the enclave's end broke"));
    if (open.size >= options.maxConnections) {
      client.destroy();
      metrics.tunnelConnections.inc({ outcome: "refused" });
      log.warn({ maxConnections: options.maxConnections }, "tunnel: connection refused, too many at once");
      return;
    }
    open.add(client);
    metrics.tunnelOpen.set(open.size);
    void carry(client, options.target, context).then((outcome) => {
      client.destroy();
      open.delete(client);
      metrics.tunnelOpen.set(open.size);
      metrics.tunnelConnections.inc({ outcome });
    });
  });
  await listenAt(server, options.listen);
  server.on("error", (error) => log.error({ err: error }, "tunnel: a connection could not be accepted"));
  return {
    get open() {
      return open.size;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of open) client.destroy();
      await closed;
    },
  };
}

/** PITFALLS 24: an empty list allows nothing; names are compared as they are written, not by what they resolve to. */
function assertAllowed({ target, allow, maxConnections }: TunnelOptions): void {
  if (!Number.isInteger(maxConnections) || maxConnections < 1) {
    throw new ServiceError("ERR_CONFIGURATION", "expected tunnel.maxConnections to be an integer above 0");
  }
  if (!allow.some(({ host, port }) => host === target.host && port === target.port)) {
    const what = allow.length === 0 ? "the allow-list is empty" : "it is not in the allow-list";
    throw new ServiceError(
      "ERR_CONFIGURATION",
      `the tunnel's target ${target.host}:${target.port} is refused: ${what}`,
    );
  }
}

/** One connection from its acceptance to its end. Never rejects. */
async function carry(client: Socket, target: TunnelTarget, context: TunnelContext): Promise<TunnelOutcome> {
  const { limits, log, metrics } = context;
  let remote: Socket;
  try {
    remote = await connectTarget(client, target, context);
  } catch (error) {
    log.warn({ target, err: error }, "tunnel: the target cannot be reached");
    return "unreachable";
  }
  try {
    await joinStreams(client, remote, {
      idleMs: limits.tunnelIdleDeadlineMs,
      totalMs: limits.tunnelTotalDeadlineMs,
      onBytes: (direction, count) =>
        metrics.tunnelBytes.inc({ direction: direction === "forth" ? "to_target" : "to_enclave" }, count),
    });
    return "ended";
  } catch (error) {
    const timedOut = toServiceError(error).code === "ERR_TIMEOUT";
    log.info({ target, err: error }, timedOut ? "tunnel: deadline passed" : "tunnel: connection broke");
    return timedOut ? "timed_out" : "broken";
  }
}

/** A connection to the target, within the deadline and while `client` is there. */
function connectTarget(client: Socket, target: TunnelTarget, { limits, log, lookup }: TunnelContext): Promise<Socket> {
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
      remote.destroy();
      reject(error);
    };
    const onClientGone = (): void => giveUp(new Error("the enclave's end closed before the target was reached"));
    const timer = setTimeout(
      () => giveUp(new ServiceError("ERR_TIMEOUT", `not connected within ${limits.tunnelConnectDeadlineMs} ms`)),
      limits.tunnelConnectDeadlineMs,
    );
    const settle = (): void => {
      clearTimeout(timer);
      client.off("close", onClientGone);
      remote.off("error", giveUp);
    };
    client.once("close", onClientGone);
    remote.on("error", (error) => log.debug({ err: error }, "tunnel: the target's end broke"));
    remote.once("error", giveUp).once("connect", () => {
      settle();
      resolve(remote);
    });
  });
}
