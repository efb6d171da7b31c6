/** node:http and node:tls on these sockets, in both roles. */
import { once } from "node:events";
import { Agent, createServer as createHttpServer, request } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { connect as connectTls, createServer as createTlsServer, TLSSocket } from "node:tls";
import { afterAll, beforeAll, expect, it } from "vitest";
import { generateCertificate } from "../../enclave/channels/self-signed-certificate.js";
import type { Endpoint } from "../../vsock/index.js";
import { connect, createServer } from "../../vsock/index.js";
import { connected, describeNative, listening } from "../support/vsock.js";

describeNative("node:http on vsock", () => {
  const http = createHttpServer((req, res) => void req.pipe(res.setHeader("x-path", req.url ?? "")));
  const server = createServer({ allowHalfOpen: true }, (socket) => void http.emit("connection", socket));
  let endpoint: Endpoint;
  beforeAll(async () => {
    endpoint = await listening(server);
  });
  afterAll(() => {
    server.close();
    http.close();
  });

  /** An agent whose connections go to the server, and a count of them. */
  function agentTo(): { agent: Agent; opened: () => number } {
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    let count = 0;
    agent.createConnection = (): Duplex => {
      count += 1;
      return connect(endpoint);
    };
    return { agent, opened: () => count };
  }

  async function post(agent: Agent, path: string, body: string): Promise<string> {
    const outgoing = request({ agent, path, method: "POST", host: "enclave" });
    outgoing.end(body);
    const [response] = await once(outgoing, "response");
    expect(response.headers["x-path"]).toBe(path);
    return text(response);
  }

  it("answers over connections that are kept alive", async () => {
    const { agent, opened } = agentTo();
    for (let index = 0; index < 20; index += 1)
      expect(await post(agent, `/${index}`, `body ${index}`)).toBe(`body ${index}`);
    expect(opened()).toBe(1);
    const large = "z".repeat(3_000_000);
    const all = await Promise.all(Array.from({ length: 40 }, () => post(agent, "/large", large)));
    expect(all.every((body) => body === large)).toBe(true);
    expect(opened()).toBeLessThanOrEqual(4);
    agent.destroy();
  });

  it("times an idle request out", async () => {
    const silent = createServer({}, (socket) => void socket.resume());
    const to = await listening(silent);
    const outgoing = request({ createConnection: () => connect(to), host: "enclave" }).setTimeout(10);
    outgoing.on("timeout", () => outgoing.destroy(new Error("idle"))).end();
    await expect(once(outgoing, "response")).rejects.toThrow("idle");
    silent.close();
  });
});

describeNative("node:tls on vsock", () => {
  let credentials: { key: string; cert: string };
  beforeAll(async () => {
    const { certificateChainPem, privateKey } = await generateCertificate(new Date(), 3_600_000);
    credentials = { key: String(privateKey.export({ type: "pkcs8", format: "pem" })), cert: certificateChainPem };
  });

  /** Sends 8 MiB through `secure`, which gives it back, and takes leave. */
  async function roundTrip(secure: TLSSocket): Promise<void> {
    const sent = "t".repeat(8 * 1024 * 1024);
    const back = text(secure);
    secure.end(sent);
    expect((await back) === sent).toBe(true);
  }

  it("a TLS server takes accepted sockets, a TLS client a socket that still connects", async () => {
    const tls = createTlsServer({ ...credentials, allowHalfOpen: true }, (socket) => void socket.pipe(socket));
    const server = createServer({ allowHalfOpen: true }, (socket) => void tls.emit("connection", socket));
    const endpoint = await listening(server);
    const socket = connect({ ...endpoint, allowHalfOpen: true });
    await roundTrip(connectTls({ socket, rejectUnauthorized: false }));
    server.close();
  });

  it("new TLSSocket wraps either end", async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const secure = new TLSSocket(socket, { isServer: true, ...credentials, allowHalfOpen: true } as object);
      secure.pipe(secure);
    });
    const socket = await connected(await listening(server), { allowHalfOpen: true });
    await roundTrip(connectTls({ socket, rejectUnauthorized: false }));
    server.close();
  });

  it("a peer that dies in the handshake is an error of the TLS socket", async () => {
    const server = createServer({}, (socket) => void socket.once("data", () => socket.destroy()));
    const socket = await connected(await listening(server));
    const secure = connectTls({ socket, rejectUnauthorized: false });
    const [error] = await once(secure, "error");
    expect(error).toMatchObject({ code: "ECONNRESET" });
    server.close();
  });
});
