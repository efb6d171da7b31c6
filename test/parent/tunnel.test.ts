import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { LookupFunction, Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { createParent } from "../../parent/index.js";
import type { ParentMetrics } from "../../parent/metrics.js";
import type { PassThroughOutcome } from "../../parent/pass-through.js";
import type { TunnelOptions } from "../../parent/tunnel.js";
import { connectTo } from "../../transport/connect.js";
import { testFolder } from "../support/folder.js";
import { collect, released } from "../support/streams.js";
import { freePort, openParent, openTunnel, parentOptions, tcpTarget } from "./fakes.js";
import { tlsTarget } from "./tls-target.js";

async function dial(address: string): Promise<Duplex> {
  const stream = await connectTo(address, { deadlineMs: 5_000 });
  onTestFinished(() => void stream.destroy());
  return stream;
}

const echo = (socket: Socket): void => void socket.pipe(socket);

async function exchange(address: string, text: string): Promise<string> {
  const stream = await dial(address);
  stream.end(text);
  return (await collect(stream)).toString();
}

/** Resolves when the tunnel has counted a connection with this end; the test's deadline is the bound. */
async function counted(metrics: ParentMetrics, outcome: PassThroughOutcome): Promise<void> {
  for (;;) {
    const { values } = await metrics.tunnelConnections.get();
    if (values.some(({ labels, value }) => labels.outcome === outcome && value > 0)) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const openOf = async (metrics: ParentMetrics): Promise<number | undefined> =>
  (await metrics.tunnelOpen.get()).values[0]?.value;

describe("what passes", () => {
  test("carries TLS that ends at the target, under the target's own certificate", async () => {
    const { port, certificate } = await tlsTarget("kms.test", (socket) => void socket.pipe(socket));
    const { address } = await openTunnel(port);
    const secure = connectTls({ socket: await dial(address), ca: certificate, servername: "kms.test" });
    await once(secure, "secureConnect");
    secure.write("through");
    const [answer] = await once(secure, "data");
    expect(String(answer)).toBe("through");
    secure.destroy();
  });

  test("passes 64 MiB both ways, unchanged and counted", async () => {
    const blocks = Array.from({ length: 64 }, () => randomBytes(1 << 20));
    const { port } = await tcpTarget(echo);
    const { address, metrics } = await openTunnel(port);
    const stream = await dial(address);
    const received = createHash("sha256");
    stream.on("data", (chunk: Buffer) => received.update(chunk));
    Readable.from(blocks).pipe(stream);
    await once(stream, "end");
    const sent = createHash("sha256");
    for (const block of blocks) sent.update(block);
    expect(received.digest("hex")).toBe(sent.digest("hex"));
    await counted(metrics, "ended");
    const { values } = await metrics.tunnelBytes.get();
    expect(values.map(({ labels, value }) => [labels.direction, value])).toEqual(
      expect.arrayContaining([
        ["to_target", 64 << 20],
        ["to_enclave", 64 << 20],
      ]),
    );
  });

  test("passes the end of the enclave's direction on and leaves the other one open", async () => {
    const { port } = await tcpTarget(async (socket) => void socket.end(`answer to ${await collect(socket)}`));
    const { address, metrics } = await openTunnel(port);
    expect(await exchange(address, "question")).toBe("answer to question");
    await counted(metrics, "ended");
  });

  test("passes the end of the target's direction on and leaves the other one open", async () => {
    let heard: Promise<Buffer> | undefined;
    const { port } = await tcpTarget((socket) => {
      socket.end("greeting");
      heard = collect(socket);
    });
    const { address, metrics } = await openTunnel(port);
    const stream = await dial(address);
    expect((await collect(stream)).toString()).toBe("greeting");
    stream.end("said after your end");
    expect((await heard)?.toString()).toBe("said after your end");
    await counted(metrics, "ended");
  });
});

describe("several tunnels", () => {
  test("lead each to its own target, with bounds of their own, and are counted together", async () => {
    const { port: one } = await tcpTarget((socket) => void socket.end("one"));
    const { port: two } = await tcpTarget((socket) => void socket.write("two"));
    const folder = testFolder();
    const tunnelTo = (name: string, port: number): TunnelOptions => {
      const target = { host: "127.0.0.1", port };
      return { listen: `unix:${join(folder, name)}`, target, allow: [target], maxConnections: 1 };
    };
    const { url } = await openParent((_, response) => void response.end("{}"), {
      tunnel: tunnelTo("one", one),
      regionTunnels: [tunnelTo("two", two), tunnelTo("three", two)],
    });
    expect(await exchange(`unix:${join(folder, "one")}`, "")).toBe("one");
    for (const name of ["two", "three"]) {
      const [answer] = await once(await dial(`unix:${join(folder, name)}`), "data");
      expect(String(answer)).toBe("two");
    }
    const health = await (await fetch(`${url}/healthz`)).json();
    expect(health).toMatchObject({ parent: { tunnelConnections: 2 } });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain("nitro_parent_tunnel_connections_open 2\n");
  });

  test("pitfall 24: start none when one of their targets is not allowed", async () => {
    const folder = testFolder();
    const target = { host: "kms.eu-west-1.amazonaws.com", port: 443 };
    const further: TunnelOptions = { listen: `unix:${join(folder, "two")}`, target, allow: [], maxConnections: 1 };
    const { options } = parentOptions({ regionTunnels: [further] });
    await expect(createParent(options)).rejects.toThrowCode("ERR_CONFIGURATION");
    expect(existsSync(options.tunnel.listen.slice("unix:".length))).toBe(false);
  });
});

describe("what goes wrong ends one connection", () => {
  test("a target that is down closes the connection and leaves the tunnel working", async () => {
    const port = await freePort();
    const { address, metrics } = await openTunnel(port);
    await released(await dial(address));
    await counted(metrics, "unreachable");
    const { server } = await tcpTarget(echo);
    await new Promise((resolve) => server.close(resolve));
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    expect(await exchange(address, "again")).toBe("again");
  });

  test("a name that does not resolve closes the connection", async () => {
    const lookup: LookupFunction = (_name, _options, callback) => callback(new Error("no such name"), []);
    const target = { host: "kms.test", port: 443 };
    const { address, metrics } = await openTunnel(443, { target, allow: [target], lookup });
    await released(await dial(address));
    await counted(metrics, "unreachable");
  });

  test("a name that is never resolved ends with the connect deadline", async () => {
    const target = { host: "kms.test", port: 443 };
    const limits = { tunnelConnectDeadlineMs: 30 };
    const { address, metrics } = await openTunnel(443, { target, allow: [target], lookup: () => undefined, limits });
    await released(await dial(address));
    await counted(metrics, "unreachable");
  });

  test("tries every address of the target, and resolves its name for each connection anew", async () => {
    const { port } = await tcpTarget(echo);
    let lookups = 0;
    const lookup: LookupFunction = (_name, _options, callback) => {
      lookups += 1;
      callback(null, [
        { address: "127.0.0.250", family: 4 }, // loopback, and nobody listens there
        { address: "127.0.0.1", family: 4 },
      ]);
    };
    const target = { host: "kms.test", port };
    const { address } = await openTunnel(port, { target, allow: [target], lookup });
    expect(await exchange(address, "one")).toBe("one");
    expect(await exchange(address, "two")).toBe("two");
    expect(lookups).toBe(2);
  });

  test("a target that resets in the middle closes the connection, and others live on", async () => {
    let resets = 0;
    const { port } = await tcpTarget((socket) => {
      socket.on("data", (chunk) => {
        if (String(chunk) !== "die") socket.write(chunk);
        else {
          resets += 1;
          socket.resetAndDestroy();
        }
      });
      socket.once("end", () => socket.end());
    });
    const { address, metrics } = await openTunnel(port);
    const survivor = await dial(address);
    const victim = await dial(address);
    victim.write("die");
    await released(victim);
    expect(resets).toBe(1);
    await counted(metrics, "broken");
    survivor.end("alive");
    expect((await collect(survivor)).toString()).toBe("alive");
  });

  test("an enclave that vanishes in the middle of a transfer closes the target's side", async () => {
    const sides: Promise<void>[] = [];
    const { port } = await tcpTarget((socket) => {
      sides.push(released(socket));
      const flood = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(1 << 16)));
      };
      socket.on("drain", flood);
      flood();
    });
    const { address, metrics } = await openTunnel(port);
    const stream = await dial(address);
    await once(stream, "data");
    stream.destroy();
    await Promise.all(sides);
    expect(sides).toHaveLength(1);
    await counted(metrics, "broken");
    expect(await openOf(metrics)).toBe(0);
  });
});

describe("bounds", () => {
  test("pitfall 15: holds back what a target does not read, and ends the connection by the idle deadline", async () => {
    const { port } = await tcpTarget((socket) => void socket.pause());
    const { address, metrics } = await openTunnel(port, { limits: { tunnelIdleDeadlineMs: 200 } });
    const stream = await dial(address);
    const closed = released(stream);
    const chunk = Buffer.alloc(1 << 16);
    let taken = 0;
    const push = (): void => {
      stream.write(chunk, (error) => {
        if (error) return;
        taken += chunk.length;
        push();
      });
    };
    push();
    await closed;
    // What the system's socket buffers hold (a few MiB) and no more: nothing piles up in the tunnel.
    expect(taken).toBeLessThan(32 << 20);
    await counted(metrics, "timed_out");
  });

  test("pitfall 15: ends a connection on which nothing passes", async () => {
    const { port } = await tcpTarget(echo);
    const { address, metrics } = await openTunnel(port, { limits: { tunnelIdleDeadlineMs: 30 } });
    await released(await dial(address));
    await counted(metrics, "timed_out");
  });

  test("pitfall 15: ends a connection that outlives the total deadline, however busy", async () => {
    const { port } = await tcpTarget(echo);
    const { address, metrics } = await openTunnel(port, { limits: { tunnelTotalDeadlineMs: 60 } });
    const stream = await dial(address);
    stream.on("data", (chunk) => stream.write(chunk));
    stream.write("round and round");
    await released(stream);
    await counted(metrics, "timed_out");
  });

  test("closes a connection beyond the bound at once, and takes the next one when a place is free", async () => {
    const { port } = await tcpTarget(echo);
    const { address, metrics } = await openTunnel(port, { maxConnections: 2 });
    const first = await dial(address);
    const second = await dial(address);
    for (const stream of [first, second]) {
      stream.write("held");
      await once(stream, "data");
    }
    await released(await dial(address));
    await counted(metrics, "refused");
    expect(await openOf(metrics)).toBe(2);
    first.end();
    await counted(metrics, "ended");
    expect(await exchange(address, "next")).toBe("next");
  });

  test("carries hundreds of connections at a time", async () => {
    const { port } = await tcpTarget(echo);
    const { address, metrics } = await openTunnel(port, { maxConnections: 300 });
    const texts = Array.from({ length: 300 }, (_, i) => `connection ${i}`);
    expect(await Promise.all(texts.map((text) => exchange(address, text)))).toEqual(texts);
    await counted(metrics, "ended");
  });

  test("closing ends every connection and takes the socket's file away", async () => {
    const { port } = await tcpTarget(echo);
    const { address, tunnel } = await openTunnel(port);
    const stream = await dial(address);
    stream.write("x");
    await once(stream, "data");
    expect(tunnel.open).toBe(1);
    await tunnel.close();
    await released(stream);
    expect(existsSync(address.slice("unix:".length))).toBe(false);
  });
});

describe("where it may lead", () => {
  const target = { host: "kms.us-east-1.amazonaws.com", port: 443 };
  const open = (allow: (typeof target)[]) => openTunnel(443, { target, allow });

  test("pitfall 24: an empty allow-list allows nothing", async () => {
    await expect(open([target])).resolves.toBeDefined();
    await expect(open([])).rejects.toThrowCode("ERR_CONFIGURATION");
  });

  test.each([
    ["another host", { ...target, host: "kms.us-east-2.amazonaws.com" }],
    ["another port", { ...target, port: 8443 }],
    ["a parent domain", { ...target, host: "amazonaws.com" }],
    ["a pattern", { ...target, host: "*.amazonaws.com" }],
    ["another spelling", { ...target, host: "KMS.us-east-1.amazonaws.com" }],
  ])("pitfall 24: an allow-list with %s alone refuses the target", async (_what, entry) => {
    await expect(open([entry])).rejects.toThrowCode("ERR_CONFIGURATION");
  });

  test.each([0, -1, 1.5, Number.NaN])("refuses %d as the number of connections", async (maxConnections) => {
    await expect(openTunnel(443, { maxConnections })).rejects.toThrowCode("ERR_CONFIGURATION");
  });
});
