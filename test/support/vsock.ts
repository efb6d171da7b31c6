/**
 * The native tests run on a binary whose endpoints are abstract Unix sockets: few test machines have AF_VSOCK. VSOCK_TEST_ADDON
 * names it (`npm run test:native` builds it); without that they are skipped, with a word about it.
 */
import { once } from "node:events";
import { join } from "node:path";
import { describe } from "vitest";
import type { ConnectOptions, Endpoint, ListenOptions, ServerOptions, VsockSocket } from "../../vsock/index.js";
import { connect, createServer, VMADDR_PORT_ANY, VsockServer } from "../../vsock/index.js";
import { loadAddon } from "../../vsock/native.js";
import { projectRoot } from "./project.js";

export const testAddon = process.env.VSOCK_TEST_ADDON;

/** A program of test/vsock/programs, which runs on the compiled modules. */
export const program = (name: string): string => join(projectRoot, "test/vsock/programs", name);

/** A suite on the test binary. A named binary that cannot be loaded fails the suite's file. */
export function describeNative(title: string, define: () => void): void {
  if (testAddon === undefined) {
    process.stderr.write(`skipped: ${title}: VSOCK_TEST_ADDON names no test binary (npm run test:native builds it)\n`);
    describe.skip(title, define);
    return;
  }
  loadAddon(testAddon);
  describe(title, define);
}

/** Where `server` listens from now on; at a free port unless told otherwise. */
export async function listening(server: VsockServer, options: Partial<ListenOptions> = {}): Promise<Endpoint> {
  server.listen({ cid: 1, port: VMADDR_PORT_ANY, ...options });
  await once(server, "listening");
  const endpoint = server.address();
  if (endpoint === null) throw new TypeError("a listening server has no address");
  return endpoint;
}

export async function connected(endpoint: Endpoint, options: Partial<ConnectOptions> = {}): Promise<VsockSocket> {
  const socket = connect({ ...endpoint, ...options });
  await once(socket, "connect");
  return socket;
}

export interface Pair extends AsyncDisposable {
  readonly server: VsockServer;
  readonly endpoint: Endpoint;
  readonly client: VsockSocket;
  readonly served: VsockSocket;
}

/** Two ends of a connection. */
export async function pair(
  options: ServerOptions & Pick<ConnectOptions, "signal"> = { allowHalfOpen: true },
): Promise<Pair> {
  const server = new VsockServer(options);
  const endpoint = await listening(server);
  const accepted = once(server, "connection") as Promise<[VsockSocket]>;
  const client = await connected(endpoint, options);
  const [served] = await accepted;
  const dispose = async (): Promise<void> => {
    for (const socket of [client, served]) socket.on("error", () => undefined).destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  return { server, endpoint, client, served, [Symbol.asyncDispose]: dispose };
}

/** A server that sends everything back, under way. */
export async function echoServer(options: ServerOptions = {}): Promise<{ server: VsockServer; endpoint: Endpoint }> {
  const server = createServer(options, (socket) => void socket.on("error", () => socket.destroy()).pipe(socket));
  return { server, endpoint: await listening(server) };
}

/** The error that `socket` comes to. */
export async function failure(
  socket: VsockSocket,
): Promise<NodeJS.ErrnoException & { address?: string; port?: number }> {
  const [error] = await once(socket, "error");
  return error;
}

export async function closed(socket: VsockSocket): Promise<void> {
  if (!socket.closed) await once(socket, "close");
}

/** What comes until the peer ends. Other than a stream consumer, it does not destroy the socket then. */
export async function received(socket: VsockSocket): Promise<string> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  await once(socket, "end");
  return Buffer.concat(parts).toString();
}
