/** What the parent's tests stand it between: TCP targets, an enclave on a Unix socket, a log kept in memory. */
import type { Server as HttpServer, RequestListener } from "node:http";
import { createServer as createHttpServer } from "node:http";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Logger } from "pino";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import type { Parent, ParentOptions } from "../../parent/index.js";
import { createParent } from "../../parent/index.js";
import type { ParentLimits } from "../../parent/limits.js";
import { DEFAULT_LIMITS } from "../../parent/limits.js";
import type { ParentMetrics } from "../../parent/metrics.js";
import { createMetrics } from "../../parent/metrics.js";
import type { Tunnel, TunnelOptions } from "../../parent/tunnel.js";
import { createTunnel } from "../../parent/tunnel.js";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import { anyPeer } from "../support/streams.js";

export interface TestLog {
  readonly logger: Logger;
  /** Everything written so far. */
  text(): string;
}

export function memoryLog(): TestLog {
  const lines: string[] = [];
  const logger = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
  return { logger, text: () => lines.join("") };
}

/** A TCP server on loopback; its connections are destroyed when the test is over. */
export async function tcpTarget(onConnection: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("tcpTarget: not a TCP server");
  return { port: address.port, server };
}

/** A loopback port on which nobody listens. */
export async function freePort(): Promise<number> {
  const { port, server } = await tcpTarget((socket) => socket.destroy());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface TestTunnel {
  readonly tunnel: Tunnel;
  readonly address: string;
  readonly metrics: ParentMetrics;
  readonly log: TestLog;
}

export interface TestTunnelOptions extends Partial<TunnelOptions> {
  readonly limits?: Partial<ParentLimits>;
  readonly lookup?: Parameters<typeof createTunnel>[1]["lookup"];
}

/** A tunnel to `port` on loopback, with one or the other thing changed. */
export async function openTunnel(port: number, { limits, lookup, ...changes }: TestTunnelOptions = {}) {
  const address = `unix:${join(testFolder(), "tunnel")}`;
  const target = { host: "127.0.0.1", port };
  const metrics = createMetrics(() => undefined);
  const log = memoryLog();
  const tunnel = await createTunnel(
    { listen: address, target, allow: [target], maxConnections: 16, ...changes },
    { enclaves: { allowPeer: () => true }, limits: { ...DEFAULT_LIMITS, ...limits }, log: log.logger, metrics, lookup },
  );
  onTestFinished(() => tunnel.close());
  return { tunnel, address, metrics, log } satisfies TestTunnel;
}

/** Serves `listener` at `address`, as an enclave would. */
export async function fakeEnclave(address: string, listener: RequestListener): Promise<HttpServer> {
  const server = createHttpServer(listener);
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  await listenAt(server, address, anyPeer);
  return server;
}

/** Ends a server as the death of its process would. */
export function killServer(server: HttpServer): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

export interface TestParent {
  readonly parent: Parent;
  readonly enclave: HttpServer;
  readonly url: string;
  readonly enclaveAddress: string;
  readonly servicesAddress: string;
  readonly tunnelAddress: string;
  readonly log: TestLog;
}

/** What of a parent's options a test changes; `enclaveTls` is where its one enclave serves TLS. */
export interface ParentChanges extends Partial<ParentOptions> {
  readonly enclaveTls?: string;
}

/** The options of a parent whose parts all lie in one folder, and that folder's addresses. */
export function parentOptions({ enclaveTls, ...changes }: ParentChanges = {}) {
  const folder = testFolder();
  const target = { host: "127.0.0.1", port: 9 };
  const log = memoryLog();
  const enclaveAddress = `unix:${join(folder, "enclave")}`;
  const options: ParentOptions = {
    enclaves: [{ name: "enclave", address: enclaveAddress, tls: enclaveTls }],
    listen: { host: "127.0.0.1", port: 0 },
    services: `unix:${join(folder, "services")}`,
    tunnel: { listen: `unix:${join(folder, "tunnel")}`, target, allow: [target], maxConnections: 4 },
    credentials: async () => ({
      accessKeyId: "AKIDTEST",
      secretAccessKey: "very-secret",
      sessionToken: "session-secret",
    }),
    log: log.logger,
    ...changes,
  };
  return { options, log, enclaveAddress };
}

/** A parent between a client and `listener` as its enclave. */
export async function openParent(listener: RequestListener, changes: ParentChanges = {}): Promise<TestParent> {
  const { options, log, enclaveAddress } = parentOptions(changes);
  const enclave = await fakeEnclave(enclaveAddress, listener);
  const parent = await createParent(options);
  onTestFinished(() => parent.close());
  return {
    parent,
    enclave,
    url: parent.url,
    enclaveAddress,
    servicesAddress: options.services,
    tunnelAddress: options.tunnel.listen,
    log,
  };
}
