/**
 * A stream of the vsock addon beside one of node:net, both over Unix sockets in this process and by turns; then TLS over either.
 * The addon's binary is the tests' (`npm run test:native` builds it): the real one needs AF_VSOCK, which has no peer in node:net.
 */
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { Server } from "node:net";
import { connect as connectNet, createServer as createNetServer } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { generateCertificate } from "../enclave/channels/self-signed-certificate.js";
import { connect, createServer, VMADDR_PORT_ANY } from "../vsock/index.js";
import { loadAddon } from "../vsock/native.js";
import type { Row } from "./table.js";
import { median } from "./table.js";

const BOUND = 0.8;
const CHUNK = Buffer.alloc(65_536, "vsock");
const MEGABYTE = 1_000_000;

type Ends = readonly [client: Duplex, served: Duplex];
/** Opens a connection to a listener of its own, which goes away with it. */
type Open = () => Promise<Ends>;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const binary = process.env.VSOCK_TEST_ADDON ?? fileURLToPath(new URL("../native/test.node", import.meta.url));
  if (!existsSync(binary)) {
    console.error("vsock: skipped, there is no test binary of the addon: `npm run test:native` builds it");
    return [];
  }
  loadAddon(binary);
  const plain = await compare(openVsock, openNet, smoke ? { runs: 3, megabytes: 20 } : { runs: 15, megabytes: 1_000 });
  const secure = secured(await credentials());
  const effort = smoke ? { runs: 3, megabytes: 10 } : { runs: 9, megabytes: 300 };
  const tls = await compare(
    () => secure(openVsock),
    () => secure(openNet),
    effort,
  );
  const [peer, tlsPeer] = ["node:net over a Unix socket", "TLS over node:net"];
  return [
    { name: peer, median: plain.peer, unit: "MB/s" },
    { name: "vsock addon over a Unix socket", median: plain.own, unit: "MB/s", ratio: plain.ratio, bound: BOUND, peer },
    { name: tlsPeer, median: tls.peer, unit: "MB/s" },
    { name: "TLS over the vsock addon", median: tls.own, unit: "MB/s", ratio: tls.ratio, peer: tlsPeer },
  ];
}

interface Comparison {
  readonly own: number;
  readonly peer: number;
  readonly ratio: number;
}

/** Medians of MB/s, and of the ratios of runs that were neighbours in time. The first pair warms up. */
async function compare(own: Open, peer: Open, effort: { runs: number; megabytes: number }): Promise<Comparison> {
  const pairs: { own: number; peer: number }[] = [];
  for (let index = 0; index <= effort.runs; index += 1) {
    const first = await stream(await (index % 2 === 0 ? own : peer)(), effort.megabytes);
    const second = await stream(await (index % 2 === 0 ? peer : own)(), effort.megabytes);
    if (index > 0) pairs.push(index % 2 === 0 ? { own: first, peer: second } : { own: second, peer: first });
  }
  return {
    own: median(pairs.map((pair) => pair.own)),
    peer: median(pairs.map((pair) => pair.peer)),
    ratio: median(pairs.map((pair) => pair.own / pair.peer)),
  };
}

/** MB/s from one end to the other, with back-pressure. */
async function stream([client, served]: Ends, megabytes: number): Promise<number> {
  let received = 0;
  served.on("data", (part: Buffer) => {
    received += part.length;
  });
  const ended = once(served, "end");
  const startedAt = performance.now();
  for (let sent = 0; sent < megabytes * MEGABYTE; sent += CHUNK.length) {
    if (!client.write(CHUNK)) await once(client, "drain");
  }
  client.end();
  await ended;
  const seconds = (performance.now() - startedAt) / 1_000;
  if (received < megabytes * MEGABYTE) throw new Error("the stream lost bytes");
  for (const socket of [client, served]) socket.on("error", () => undefined).destroy();
  return received / MEGABYTE / seconds;
}

async function openVsock(): Promise<Ends> {
  const server = createServer().listen({ cid: 1, port: VMADDR_PORT_ANY });
  const accepted = once(server, "connection");
  const address = server.address();
  if (address === null) throw new Error("the listener has no address");
  const client = connect(address);
  const [[served]] = await Promise.all([accepted, once(client, "connect")]);
  server.close();
  return [client, served];
}

async function openNet(): Promise<Ends> {
  const path = `\0nitro-decrypt-bench-${process.pid}`;
  const server: Server = createNetServer().listen({ path });
  const accepted = once(server, "connection");
  const client = connectNet({ path });
  const [[served]] = await Promise.all([accepted, once(client, "connect")]);
  server.close();
  return [client, served];
}

interface Credentials {
  readonly key: string;
  readonly cert: string;
}

async function credentials(): Promise<Credentials> {
  const { certificateChainPem, privateKey } = await generateCertificate(new Date(), 3_600_000);
  return { key: String(privateKey.export({ type: "pkcs8", format: "pem" })), cert: certificateChainPem };
}

/** TLS 1.3 over a connection. Nothing is decided on who answers: it is this process. */
function secured(identity: Credentials): (open: Open) => Promise<Ends> {
  return async (open) => {
    const [socket, accepted] = await open();
    const served = new TLSSocket(accepted, { isServer: true, ...identity });
    const client = connectTls({ socket, rejectUnauthorized: false, minVersion: "TLSv1.3" });
    await once(client, "secureConnect");
    return [client, served];
  };
}
