/** TLS that ends in the enclave, from a client through the parent: large bodies both ways, and readers that are slow. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, RequestListener } from "node:http";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { generateCertificate } from "../../../enclave/channels/self-signed-certificate.js";
import { createTlsHttpServer, tlsSpkiOf } from "../../../enclave/channels/tls-server.js";
import { toHex } from "../../../shared/bytes.js";
import { listenAt } from "../../../transport/listen.js";
import { openParent } from "../../parent/fakes.js";
import { testFolder } from "../../support/folder.js";
import { anyPeer } from "../../support/streams.js";

const MIB = 1 << 20;
const TOTAL = 64 * MIB;
/** What the buffers of the system's sockets hold, loopback TCP above all, with room; less than half of what is sent. */
const IN_FLIGHT = 24 * MIB;
/** What node:stream and TLS may keep on top of that in one stream. */
const WRITABLE = 2 * MIB;

async function openStack(listener: RequestListener) {
  const certificate = await generateCertificate(new Date(), 3_600_000);
  const identity = { current: certificate, onChange: () => undefined };
  const http = { requestTimeout: 60_000, headersTimeout: 10_000 };
  const server = createTlsHttpServer(identity, { handshakeMs: 10_000, maxConnections: 16, http }, listener);
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  const enclave = `unix:${join(testFolder(), "tls")}`;
  await listenAt(server, enclave, anyPeer);
  const tls = { listen: { host: "127.0.0.1", port: 0 }, maxConnections: 16 };
  const changes = { tls, enclaveTls: enclave };
  const { parent, url } = await openParent((_request, response) => void response.end("{}"), changes);
  const port = parent.tlsAddress?.port;
  const call = (method: string) =>
    httpsRequest({ host: "127.0.0.1", port, method, rejectUnauthorized: false, agent: false });
  return { call, url, certificate };
}

/** 64 MiB in pieces of one MiB, and their hash when all are taken; `sent` counts what was asked for. */
function source() {
  const block = randomBytes(MIB);
  const hash = createHash("sha256");
  const progress = { sent: 0 };
  function* blocks() {
    for (let i = 0; i < TOTAL / MIB; i++) {
      block.writeUInt32BE(i);
      hash.update(block);
      progress.sent += MIB;
      yield Buffer.from(block);
    }
  }
  return { stream: Readable.from(blocks(), { objectMode: false }), progress, digest: () => hash.digest("hex") };
}

/** Reads all of `stream`, a few turns of the event loop for each chunk; `look` is called while nothing is read. */
async function readSlowly(stream: IncomingMessage, look: (received: number) => void): Promise<string> {
  const hash = createHash("sha256");
  let received = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    received += chunk.length;
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    look(received);
  }
  expect(received).toBe(TOTAL);
  return hash.digest("hex");
}

describe("through the parent", () => {
  it("a connection shows the enclave's own key", async () => {
    const { call, certificate } = await openStack((request, response) =>
      response.end(toHex(tlsSpkiOf(request.socket))),
    );
    const request = call("GET").end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const socket = response.socket as TLSSocket; // an https request has no other
    const spki = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
    expect(toHex(spki ?? new Uint8Array())).toBe(toHex(certificate.spki));
    expect(Buffer.concat(await response.toArray()).toString()).toBe(toHex(certificate.spki));
  });

  it("pitfall 15: 64 MiB arrive unchanged at a slow client, and little of them is on the way at a time", async () => {
    const { stream, progress, digest } = source();
    const writers: Writable[] = [];
    const { call, url } = await openStack((request, response) => {
      writers.push(response, request.socket);
      pipeline(stream, response).catch(() => response.destroy());
    });
    const request = call("GET").end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let inFlight = 0;
    let writable = 0;
    const received = await readSlowly(response, (count) => {
      inFlight = Math.max(inFlight, progress.sent - count);
      writable = Math.max(writable, ...writers.map(({ writableLength }) => writableLength));
    });
    expect(received).toBe(digest());
    expect(inFlight).toBeLessThan(IN_FLIGHT);
    expect(writable).toBeGreaterThan(0); // it was looked at while something waited
    expect(writable).toBeLessThan(WRITABLE);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const passed = Number(/tls_bytes_total\{direction="to_client"\} (\d+)/.exec(metrics)?.[1]);
    expect(passed).toBeGreaterThan(TOTAL);
  });

  it("pitfall 15: 64 MiB arrive unchanged at a slow enclave, and little of them is on the way at a time", async () => {
    const { stream, progress, digest } = source();
    const writers: Writable[] = [];
    let inFlight = 0;
    let writable = 0;
    const look = (count: number): void => {
      inFlight = Math.max(inFlight, progress.sent - count);
      writable = Math.max(writable, ...writers.map(({ writableLength }) => writableLength));
    };
    const { call } = await openStack((request, response) => {
      readSlowly(request, look).then(
        (hash) => response.end(hash),
        () => response.destroy(),
      );
    });
    const request = call("POST");
    request.once("socket", (socket) => writers.push(request, socket));
    const answered = once(request, "response") as Promise<[IncomingMessage]>;
    await pipeline(stream, request);
    const [response] = await answered;
    expect(Buffer.concat(await response.toArray()).toString()).toBe(digest());
    expect(inFlight).toBeLessThan(IN_FLIGHT);
    expect(writable).toBeGreaterThan(0); // it was looked at while something waited
    expect(writable).toBeLessThan(WRITABLE);
  });
});
