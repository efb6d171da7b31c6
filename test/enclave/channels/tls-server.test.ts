/** HTTP over TLS 1.3 that ends here: what is served, with which key, and what is refused. */
import { once } from "node:events";
import type { RequestListener, Server, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { duplexPair } from "node:stream";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { generateCertificate } from "../../../enclave/channels/self-signed-certificate.js";
import type { ServedCertificate } from "../../../enclave/channels/served-certificate.js";
import type { TlsServerLimits } from "../../../enclave/channels/tls-server.js";
import { createTlsHttpServer, tlsSpkiOf } from "../../../enclave/channels/tls-server.js";
import { toHex } from "../../../shared/bytes.js";
import { connectTo } from "../../../transport/connect.js";
import { listenAt } from "../../../transport/listen.js";
import { testFolder } from "../../support/folder.js";
import { anyPeer, collect, released } from "../../support/streams.js";

const LIMITS: TlsServerLimits = {
  handshakeMs: 5_000,
  maxConnections: 16,
  http: { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 20 },
};
/** Short enough to be waited for, where silence is what is tested. */
const SOON_MS = 60;

let first: ServedCertificate;
let second: ServedCertificate;
beforeAll(async () => {
  first = await generateCertificate(new Date(), 3_600_000);
  second = await generateCertificate(new Date(), 3_600_000);
});

/** An identity that is what the test says. */
function fakeIdentity(current: ServedCertificate | undefined) {
  const listeners: ((certificate: ServedCertificate) => void)[] = [];
  const identity = {
    current,
    onChange: (listener: (certificate: ServedCertificate) => void) => void listeners.push(listener),
  };
  const change = (certificate: ServedCertificate): void => {
    identity.current = certificate;
    for (const listener of listeners) listener(certificate);
  };
  return { identity, change };
}

/** Answers with the key that the connection was served with. */
const answerKey: RequestListener = (request, response) => void response.end(toHex(tlsSpkiOf(request.socket)));

interface Changes {
  readonly limits?: Partial<TlsServerLimits>;
  readonly listener?: RequestListener;
  readonly certificate?: ServedCertificate | "none";
}

async function serve({ limits, listener = answerKey, certificate = first }: Changes = {}) {
  const { identity, change } = fakeIdentity(certificate === "none" ? undefined : certificate);
  const server = createTlsHttpServer(identity, { ...LIMITS, ...limits }, listener);
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  const address = `unix:${join(testFolder(), "tls")}`;
  await listenAt(server, address, anyPeer);
  return { server, address, change };
}

async function dial(address: string): Promise<Duplex> {
  const stream = await connectTo(address, { deadlineMs: 5_000 });
  stream.on("error", () => stream.destroy());
  onTestFinished(() => void stream.destroy());
  return stream;
}

/** TLS over `socket`; who the server is, the tests look at themselves. */
async function secure(socket: Duplex, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const stream = connect({ socket, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"], ...options });
  onTestFinished(() => void stream.destroy());
  await once(stream, "secureConnect");
  stream.on("error", () => stream.destroy());
  return stream;
}

async function ask(stream: TLSSocket): Promise<string> {
  stream.write("GET / HTTP/1.1\r\nhost: enclave\r\n\r\n");
  const [answer] = await once(stream, "data");
  return String(answer).split("\r\n\r\n")[1] ?? "";
}

const peerSpki = (stream: TLSSocket): string =>
  toHex(stream.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" }) ?? new Uint8Array());

describe("a TLS connection", () => {
  it("is TLS 1.3 with ALPN http/1.1, under the certificate in use, and carries HTTP", async () => {
    const { address } = await serve();
    const stream = await secure(await dial(address));
    expect([stream.getProtocol(), stream.alpnProtocol]).toEqual(["TLSv1.3", "http/1.1"]);
    expect(peerSpki(stream)).toBe(toHex(first.spki));
    expect(await ask(stream)).toBe(toHex(first.spki));
    expect(await ask(stream)).toBe(toHex(first.spki)); // kept for the next request
  });

  it("is served over any stream that is handed to the server, such as one of AF_VSOCK", async () => {
    const { server } = await serve();
    const [near, far] = duplexPair();
    server.emit("connection", far);
    const stream = await secure(near);
    expect(await ask(stream)).toBe(toHex(first.spki));
  });

  it("does without ALPN from clients that do not speak it", async () => {
    const { address } = await serve();
    const stream = await secure(await dial(address), { ALPNProtocols: [] });
    expect(await ask(stream)).toBe(toHex(first.spki));
  });

  it("keeps the key that it began with when another takes its place, and knows it", async () => {
    const { address, change } = await serve();
    const before = await secure(await dial(address));
    expect(await ask(before)).toBe(toHex(first.spki));
    change(second);
    const after = await secure(await dial(address));
    expect(await ask(after)).toBe(toHex(second.spki));
    expect(await ask(before)).toBe(toHex(first.spki));
    expect([peerSpki(before), peerSpki(after)]).toEqual([toHex(first.spki), toHex(second.spki)]);
  });

  it("is not resumed: a session of an earlier one ends in a whole handshake", async () => {
    const { address, change } = await serve();
    const earlier = await secure(await dial(address));
    const sessions: Buffer[] = [];
    earlier.on("session", (session) => sessions.push(session));
    await ask(earlier);
    await ask(earlier); // by now the tickets are here, if there are any
    const resume = async (session: Buffer | undefined) => {
      const stream = await secure(await dial(address), { session });
      return [stream.isSessionReused(), peerSpki(stream)];
    };
    const given = [...sessions, earlier.getSession()];
    for (const session of given) expect(await resume(session)).toEqual([false, toHex(first.spki)]);
    change(second);
    for (const session of given) expect(await resume(session)).toEqual([false, toHex(second.spki)]);
  });
});

describe("what is refused", () => {
  it.each<[string, ConnectionOptions]>([
    ["TLS 1.2", { maxVersion: "TLSv1.2" }],
    ["another protocol than http/1.1", { ALPNProtocols: ["h2"] }],
  ])("%s", async (_, options) => {
    const { address } = await serve();
    await expect(secure(await dial(address), options)).rejects.toThrow(/alert/i);
    expect(await ask(await secure(await dial(address)))).toBe(toHex(first.spki));
  });

  it("a connection while there is no certificate, and none when there is one", async () => {
    const { address, change } = await serve({ certificate: "none" });
    await expect(secure(await dial(address))).rejects.toThrow();
    change(first);
    expect(await ask(await secure(await dial(address)))).toBe(toHex(first.spki));
  });

  it("garbage instead of a ClientHello, which ends that connection alone", async () => {
    const { address } = await serve();
    const other = await secure(await dial(address));
    for (const garbage of ["GET / HTTP/1.1\r\nhost: enclave\r\n\r\n", "\0\0\0\0\0\0\0\0", "\x16\x03\x01\xff\xff"]) {
      const stream = await dial(address);
      stream.end(garbage);
      await released(stream);
    }
    expect(await ask(other)).toBe(toHex(first.spki));
  });

  it("pitfall 15: silence before the handshake, within its time", async () => {
    const { address } = await serve({ limits: { handshakeMs: SOON_MS } });
    const other = await secure(await dial(address));
    await released(await dial(address));
    expect(await ask(other)).toBe(toHex(first.spki)); // the time of the handshake is not the connection's
  });

  it("pitfall 15: a handshake of which a byte comes now and then", async () => {
    const { address } = await serve({ limits: { handshakeMs: 2 * SOON_MS } });
    const stream = await dial(address);
    stream.write(Uint8Array.of(0x16, 0x03, 0x01, 0x20, 0x00, 0x01, 0x00, 0x1f, 0xfc, 0x03, 0x03));
    const drip = setInterval(() => stream.writable && stream.write(Uint8Array.of(0)), 10);
    onTestFinished(() => clearInterval(drip));
    await released(stream);
  });

  it("pitfall 15: silence after the handshake, within the time for a request's head", async () => {
    const { address } = await serve({ limits: { http: { ...LIMITS.http, headersTimeout: SOON_MS } } });
    await released(await secure(await dial(address)));
  });

  it("pitfall 15: more connections than the bound, until one has ended; those in their handshake count", async () => {
    const { server, address } = await serve({ limits: { maxConnections: 2, handshakeMs: 600_000 } });
    const arrival = once(server, "connection");
    const silent = await dial(address);
    const [arrived] = await arrival;
    const other = await secure(await dial(address));
    await released(await dial(address));
    expect(await ask(other)).toBe(toHex(first.spki));
    silent.destroy();
    await once(arrived, "close");
    expect(await ask(await secure(await dial(address)))).toBe(toHex(first.spki));
  });

  it("counts what is handed to it likewise", async () => {
    const { server } = await serve({ limits: { maxConnections: 1 } });
    const [held, heldFar] = duplexPair();
    server.emit("connection", heldFar);
    const [, refused] = duplexPair();
    server.emit("connection", refused);
    expect([heldFar.destroyed, refused.destroyed]).toEqual([false, true]);
    held.destroy();
  });
});

describe("a stream that is handed to it", () => {
  const handOver = (server: Server) => {
    const [near, far] = duplexPair();
    server.emit("connection", far);
    return { near, far };
  };

  it("may break in its handshake, and ends alone", async () => {
    const { server } = await serve({ limits: { maxConnections: 1, handshakeMs: 600_000 } });
    const { far } = handOver(server);
    const closed = new Promise((resolve) => void far.once("close", resolve));
    far.destroy(new Error("broke"));
    await closed;
    expect(await ask(await secure(handOver(server).near))).toBe(toHex(first.spki));
  });

  it("may have ended before it comes", async () => {
    const { server } = await serve({ limits: { maxConnections: 1 } });
    const [, ended] = duplexPair();
    ended.destroy();
    await once(ended, "close");
    server.emit("connection", ended);
    expect(await ask(await secure(handOver(server).near))).toBe(toHex(first.spki));
  });

  it("is closed with the TLS on it, and gives its place back", async () => {
    const { server } = await serve({ limits: { maxConnections: 1 } });
    const { near, far } = handOver(server);
    const stream = await secure(near);
    await ask(stream);
    const closed = once(far, "close");
    server.closeIdleConnections();
    await closed;
    expect(await ask(await secure(handOver(server).near))).toBe(toHex(first.spki));
  });
});

describe("a client that ends its direction", () => {
  it("after its request still gets the whole answer", async () => {
    const body = "a".repeat(4 << 20);
    const { address } = await serve({ listener: (_request, response) => void response.end(body) });
    const stream = await secure(await dial(address));
    stream.end("GET / HTTP/1.1\r\nhost: enclave\r\nconnection: close\r\n\r\n");
    expect((await collect(stream)).length).toBeGreaterThan(body.length);
  });
});

describe("closing", () => {
  it("ends connections in their handshake at once, takes no more, and lets requests under way finish", async () => {
    const responses: ServerResponse[] = [];
    const { server, address } = await serve({
      listener: (_request, response) => void responses.push(response),
      limits: { handshakeMs: 600_000 },
    });
    const silent = await dial(address);
    const stream = await secure(await dial(address));
    const answer = ask(stream);
    await once(server, "request");
    const closed = new Promise((resolve) => server.close(resolve));
    await released(silent);
    const [, late] = duplexPair();
    server.emit("connection", late);
    expect(late.destroyed).toBe(true);
    for (const response of responses) response.end("done");
    expect(await answer).toBe("done");
    server.closeIdleConnections();
    stream.destroy();
    await closed;
  });
});

describe("tlsSpkiOf", () => {
  it("takes TLS connections that stand, and nothing else", async () => {
    const sockets: Socket[] = [];
    const { address } = await serve({
      listener: (request, response) => {
        sockets.push(request.socket);
        response.end("taken");
      },
    });
    const stream = await secure(await dial(address));
    expect(await ask(stream)).toBe("taken");
    const [socket] = sockets;
    expect(tlsSpkiOf(socket)).toEqual(first.spki);
    socket?.destroy();
    expect(() => tlsSpkiOf(socket)).toThrow(TypeError);
    expect(() => tlsSpkiOf(new Socket())).toThrow(TypeError);
  });
});
