/**
 * A blind pass-through: each stream that arrives is joined to one that is opened for it, byte for byte, with back-pressure
 * and half-close (pipe.ts). Used twice: from the enclave to KMS (tunnel.ts) and from clients to the enclave (tls.ts). TLS
 * ends at neither end of it, so it sees only ciphertext and is trusted with nothing.
 *
 * Connections beyond the bound are closed at once. Whatever goes wrong ends one connection.
 */
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import type { Counter, Gauge } from "prom-client";
import { ServiceError, toServiceError } from "../shared/errors.js";
import type { Listening } from "../transport/listen.js";
import { joinStreams } from "./pipe.js";

/** How a connection came to its end. */
export type PassThroughOutcome = "ended" | "refused" | "unreachable" | "timed_out" | "broken";

export interface PassThroughMetrics {
  readonly open: Gauge;
  readonly connections: Counter<"outcome">;
  readonly bytes: Counter<"direction">;
}

export interface PassThroughOptions {
  /** Its name in the log. */
  readonly name: string;
  /** Connections at a time. */
  readonly maxConnections: number;
  readonly idleMs: number;
  readonly totalMs: number;
  /** Opens the other end of one connection; `gone` fires when who asked for it has left. */
  readonly connect: (gone: AbortSignal) => Promise<Duplex>;
  /** The labels of the bytes that go there, and that come back. */
  readonly directions: { readonly forth: string; readonly back: string };
  readonly metrics: PassThroughMetrics;
  readonly log: Logger;
}

export interface PassThrough {
  /** Takes the connections; whoever made the pass-through makes it listen. */
  readonly server: Server;
  /** Connections at the moment. */
  readonly open: number;
  /** Stops `listening`, which is of its server, and ends every connection. */
  close(listening: Listening): Promise<void>;
}

/** A pass-through that does not listen yet. @throws ServiceError ERR_CONFIGURATION (the bound is not a number above 0). */
export function createPassThrough(options: PassThroughOptions): PassThrough {
  const { name, maxConnections, metrics, log } = options;
  if (!Number.isInteger(maxConnections) || maxConnections < 1) {
    throw new ServiceError("ERR_CONFIGURATION", `expected ${name}.maxConnections to be an integer above 0`);
  }
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (near) => {
    // From here until its end: a socket without such a listener would end the process. The outcome is told below.
    near.on("error", (error) => log.debug({ err: error }, `${name}: the connection that came in broke`));
    if (open.size >= maxConnections) {
      near.destroy();
      metrics.connections.inc({ outcome: "refused" });
      log.warn({ maxConnections }, `${name}: connection refused, too many at once`);
      return;
    }
    open.add(near);
    metrics.open.inc();
    void carry(near, options).then((outcome) => {
      near.destroy();
      open.delete(near);
      metrics.open.dec();
      metrics.connections.inc({ outcome });
    });
  });
  return {
    server,
    get open() {
      return open.size;
    },
    async close(listening) {
      const closed = listening.close();
      for (const near of open) near.destroy();
      await closed;
    },
  };
}

/** One connection from its acceptance to its end. Never rejects. */
async function carry(near: Socket, options: PassThroughOptions): Promise<PassThroughOutcome> {
  const { name, idleMs, totalMs, directions, metrics, log } = options;
  let far: Duplex;
  try {
    far = await connectWhileThere(near, options);
  } catch (error) {
    log.warn({ err: error }, `${name}: the other end cannot be reached`);
    return "unreachable";
  }
  try {
    const onBytes = (direction: "forth" | "back", count: number): void =>
      metrics.bytes.inc({ direction: directions[direction] }, count);
    await joinStreams(near, far, { idleMs, totalMs, onBytes });
    return "ended";
  } catch (error) {
    const timedOut = toServiceError(error).code === "ERR_TIMEOUT";
    log.info({ err: error }, timedOut ? `${name}: deadline passed` : `${name}: connection broke`);
    return timedOut ? "timed_out" : "broken";
  }
}

/** The other end of `near`'s connection, given up when `near` is gone. */
async function connectWhileThere(near: Socket, { name, connect, log }: PassThroughOptions): Promise<Duplex> {
  const gone = new AbortController();
  const onGone = (): void =>
    gone.abort(new Error("the connection that came in closed before the other end was reached"));
  near.once("close", onGone);
  try {
    const far = await connect(gone.signal);
    far.on("error", (error) => log.debug({ err: error }, `${name}: the other end broke`));
    return far;
  } finally {
    near.off("close", onGone);
  }
}
