/** The TLS pass-through: bytes from clients to the enclave and back, which this end does not look at. */
import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { EnclavePool } from "../../parent/enclave-pool.js";
import type { ParentLimits } from "../../parent/limits.js";
import { DEFAULT_LIMITS } from "../../parent/limits.js";
import type { ParentMetrics } from "../../parent/metrics.js";
import { createMetrics } from "../../parent/metrics.js";
import type { PassThroughOutcome } from "../../parent/pass-through.js";
import type { TlsOptions } from "../../parent/tls.js";
import { createTlsPassThrough } from "../../parent/tls.js";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import { anyPeer, collect, released } from "../support/streams.js";
import { memoryLog, openParent } from "./fakes.js";

/** An enclave's TLS address, on which `onConnection` answers. */
async function rawEnclave(address: string, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  onTestFinished(() => void server.close());
  await listenAt(server, address, anyPeer);
  return server;
}

const echo = (socket: Socket): void => void socket.pipe(socket);
const newAddress = (): string => `unix:${join(testFolder(), "tls")}`;

interface Changes extends Partial<TlsOptions> {
  /** The enclave's TLS address. */
  readonly enclave?: string;
  /** The TLS addresses of further enclaves; undefined for one that has none. */
  readonly others?: readonly (string | undefined)[];
  readonly limits?: Partial<ParentLimits>;
}

async function openTls({ limits, enclave = newAddress(), others = [], ...changes }: Changes = {}) {
  const metrics = createMetrics(() => undefined);
  const log = memoryLog();
  const options = { listen: { host: "127.0.0.1", port: 0 }, maxConnections: 16, ...changes };
  const allLimits = { ...DEFAULT_LIMITS, ...limits };
  const targets = [enclave, ...others].map((tls, index) => ({ name: `enclave-${index}`, address: newAddress(), tls }));
  const enclaves = await EnclavePool.create(targets, { limits: allLimits, log: log.logger, metrics });
  const context = { enclaves, limits: allLimits, log: log.logger, metrics };
  const tls = await createTlsPassThrough(options, context);
  onTestFinished(() => tls.close());
  return { tls, metrics, enclave, port: tls.address.port, log };
}

/** A pass-through to an enclave on which `onConnection` answers. */
async function openTo(onConnection: (socket: Socket) => void, changes: Changes = {}) {
  const enclave = newAddress();
  await rawEnclave(enclave, onConnection);
  return openTls({ enclave, ...changes });
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => socket.destroy());
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function exchange(port: number, text: string): Promise<string> {
  const stream = await dial(port);
  stream.end(text);
  return (await collect(stream)).toString();
}

async function counted(metrics: ParentMetrics, outcome: PassThroughOutcome): Promise<void> {
  for (;;) {
    const { values } = await metrics.tlsConnections.get();
    if (values.some(({ labels, value }) => labels.outcome === outcome && value > 0)) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const openOf = async (metrics: ParentMetrics): Promise<number | undefined> =>
  (await metrics.tlsOpen.get()).values[0]?.value;

describe("what passes", () => {
  test("every byte both ways, counted, with the end of each direction by itself", async () => {
    const { port, metrics } = await openTo(async (socket) => void socket.end(`answer to ${await collect(socket)}`));
    expect(await exchange(port, "question")).toBe("answer to question");
    await counted(metrics, "ended");
    const { values } = await metrics.tlsBytes.get();
    expect(Object.fromEntries(values.map(({ labels, value }) => [labels.direction, value]))).toEqual({
      to_enclave: "question".length,
      to_client: "answer to question".length,
    });
    expect(await openOf(metrics)).toBe(0);
  });

  test("the enclave's end, with the client's direction left open", async () => {
    let heard: Promise<Buffer> | undefined;
    const { port } = await openTo((socket) => {
      socket.end("greeting");
      heard = collect(socket);
    });
    const stream = await dial(port);
    expect((await collect(stream)).toString()).toBe("greeting");
    stream.end("said after your end");
    expect((await heard)?.toString()).toBe("said after your end");
  });
});

describe("what goes wrong ends one connection", () => {
  test("an enclave that is not there, which is found when it is", async () => {
    const { port, metrics, enclave, log } = await openTls();
    await released(await dial(port));
    await counted(metrics, "unreachable");
    expect(log.text()).toContain("ERR_ENCLAVE_UNAVAILABLE");
    await rawEnclave(enclave, echo);
    expect(await exchange(port, "there")).toBe("there");
  });

  test("one of several enclaves that is not there, or has no TLS, ends none: another one is asked", async () => {
    const { port, metrics } = await openTo(echo, { others: [undefined, newAddress(), undefined, newAddress()] });
    for (let i = 0; i < 5; i++) expect(await exchange(port, "there")).toBe("there");
    await counted(metrics, "ended");
    expect((await metrics.tlsConnections.get()).values.map(({ labels }) => labels.outcome)).toEqual(["ended"]);
  });

  test("an enclave that breaks off, while others live on", async () => {
    const { port, metrics } = await openTo((socket) => {
      socket.on("data", (chunk) => {
        if (String(chunk) === "die") socket.destroy(new Error("died"));
        else socket.write(chunk);
      });
      socket.once("end", () => socket.end());
    });
    const survivor = await dial(port);
    const victim = await dial(port);
    victim.write("die");
    await released(victim);
    survivor.end("alive");
    expect((await collect(survivor)).toString()).toBe("alive");
    await counted(metrics, "ended");
  });

  test("a client that vanishes in the middle of a transfer, of which the enclave is told", async () => {
    const sides: Promise<void>[] = [];
    const { port, metrics } = await openTo((socket) => {
      sides.push(released(socket));
      const flood = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(1 << 16)));
      };
      socket.on("drain", flood);
      flood();
    });
    const stream = await dial(port);
    await once(stream, "data");
    stream.resetAndDestroy();
    await Promise.all(sides);
    expect(sides).toHaveLength(1);
    await counted(metrics, "broken");
    expect(await openOf(metrics)).toBe(0);
  });
});

describe("bounds", () => {
  test("pitfall 15: connections beyond the bound are closed at once, and the next one is taken when a place is free", async () => {
    const { port, metrics, tls } = await openTo(echo, { maxConnections: 2 });
    const held = [await dial(port), await dial(port)];
    for (const stream of held) {
      stream.write("held");
      await once(stream, "data");
    }
    await released(await dial(port));
    await counted(metrics, "refused");
    expect([tls.open, await openOf(metrics)]).toEqual([2, 2]);
    held[0]?.end();
    await counted(metrics, "ended");
    expect(await exchange(port, "next")).toBe("next");
  });

  test("pitfall 15: a connection on which nothing passes ends", async () => {
    const { port, metrics } = await openTo(echo, { limits: { tlsIdleDeadlineMs: 30 } });
    await released(await dial(port));
    await counted(metrics, "timed_out");
  });

  test("pitfall 15: a connection that outlives the total deadline ends, however busy", async () => {
    const { port, metrics } = await openTo(echo, { limits: { tlsTotalDeadlineMs: 60 } });
    const stream = await dial(port);
    stream.on("data", (chunk) => stream.write(chunk));
    stream.write("round and round");
    await released(stream);
    await counted(metrics, "timed_out");
  });

  test("closing ends every connection", async () => {
    const { port, tls } = await openTo(echo);
    const stream = await dial(port);
    stream.write("x");
    await once(stream, "data");
    await tls.close();
    await released(stream);
    await expect(dial(port)).rejects.toThrow();
  });

  test.each([0, -1, 1.5, Number.NaN])("refuses %d as the number of connections", async (maxConnections) => {
    await expect(openTls({ maxConnections })).rejects.toThrowCode("ERR_CONFIGURATION");
  });

  test.each<[string, Changes]>([["a host that is not this machine's", { listen: { host: "192.0.2.1", port: 0 } }]])(
    "refuses %s",
    async (_, changes) => {
      await expect(openTls(changes)).rejects.toThrowCode("ERR_ADDRESS");
    },
  );
});

describe("in a parent", () => {
  const listener: Parameters<typeof openParent>[0] = (_request, response) => void response.end("{}");

  test("listens where it says, shows in the metrics, and closes with the rest", async () => {
    const enclave = newAddress();
    await rawEnclave(enclave, echo);
    const tls = { listen: { host: "127.0.0.1", port: 0 }, maxConnections: 4 };
    const { parent, url } = await openParent(listener, { tls, enclaveTls: enclave });
    const port = parent.tlsAddress?.port ?? 0;
    expect(parent.tlsAddress).toEqual({ host: "127.0.0.1", port: expect.any(Number) });
    const held = await dial(port);
    held.write("x");
    await once(held, "data");
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain("nitro_parent_tls_connections_open 1");
    expect(metrics).toContain('nitro_parent_tls_bytes_total{direction="to_enclave"} 1');
    await parent.close();
    await released(held);
    await expect(dial(port)).rejects.toThrow();
  });

  test("is not there unless it is asked for", async () => {
    const { parent } = await openParent(listener);
    expect(parent.tlsAddress).toBeUndefined();
  });
});
