/**
 * What only a kernel with AF_VSOCK shows, on the binary that ships. For a guest with vsock_loopback (CID 1), as root; it
 * connects to CIDs that must not exist and sets the clock, so nowhere else. Usage: real-vsock.mjs [FOLDER of the compiled
 * vsock]. Prints `ok NAME` or `FAILED NAME: reason` for each check; exit status 1 if one failed.
 */
import { strictEqual } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { openSync } from "node:fs";
import { Agent, createServer as createHttpServer, request } from "node:http";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, "../../../dist/vsock"));
const vsock = await import(pathToFileURL(join(folder, "index.js")));
const { addEntropy, connect, createServer, setRealtimeClock, VMADDR_CID_ANY, VMADDR_PORT_ANY } = vsock;

const CID = 1;
const NO_CID = 77;
const CHECK_MS = 60_000;

async function listen(listener, options = {}) {
  const server = createServer({ allowHalfOpen: true }, listener);
  server.listen({ cid: VMADDR_CID_ANY, port: VMADDR_PORT_ANY, ...options });
  await once(server, "listening");
  return { server, to: { cid: CID, port: server.address().port } };
}

/** "connected", or the code of the error. */
const outcome = (socket) =>
  new Promise((done) => {
    socket.once("connect", () => done("connected")).once("error", ({ code }) => done(code));
  });

async function bytesOf(socket) {
  const parts = [];
  socket.on("data", (part) => parts.push(part));
  await once(socket, "end");
  return Buffer.concat(parts);
}

const CHECKS = {
  "16 MiB come back, and both ends know CID and port": async () => {
    const { server, to } = await listen((socket) => socket.pipe(socket));
    const socket = connect({ ...to, allowHalfOpen: true });
    const sent = randomBytes(16 * 1024 * 1024);
    socket.end(sent);
    strictEqual((await bytesOf(socket)).equals(sent), true);
    strictEqual(socket.remoteCid, CID);
    strictEqual(socket.localPort > 0, true);
    server.close();
  },
  "an answer comes after the request's end": async () => {
    const { server, to } = await listen(async (socket) => socket.end(`answer to ${await bytesOf(socket)}`));
    const socket = connect({ ...to, allowHalfOpen: true });
    socket.end("a request");
    strictEqual(String(await bytesOf(socket)), "answer to a request");
    server.close();
  },
  "a closed port resets, with retries and without": async () => {
    for (const retries of [6, 0]) strictEqual(await outcome(connect({ cid: CID, port: 4_242, retries })), "ECONNRESET");
  },
  "there is no such CID": async () => {
    const code = await outcome(connect({ cid: NO_CID, port: 4_242, timeoutMs: 1_000 }));
    strictEqual(["ENODEV", "ETIMEDOUT"].includes(code), true, code);
  },
  "an address that is taken, and a CID that is not ours": async () => {
    const { server, to } = await listen(() => undefined);
    const [taken] = await once(createServer().listen(to), "error");
    const [foreign] = await once(createServer().listen({ cid: NO_CID, port: 4_242 }), "error");
    strictEqual(`${taken.code} ${foreign.code}`, "EADDRINUSE EADDRNOTAVAIL");
    server.close();
  },
  "a full backlog resets, and is waited out by retries": async () => {
    const { server, to } = await listen((socket) => socket.resume().on("end", () => socket.end()), { backlog: 1 });
    const attempt = (retries) => {
      const socket = connect({ ...to, retries, timeoutMs: 30_000 }).once("connect", () => socket.end());
      return outcome(socket.resume());
    };
    const all = async (retries) => new Set(await Promise.all(Array.from({ length: 40 }, () => attempt(retries))));
    strictEqual([...(await all(0))].sort().join(), "ECONNRESET,connected");
    strictEqual([...(await all(12))].join(), "connected");
    server.close();
  },
  "a peer that is gone ends the stream, and EPIPE is what writing to it gives": async () => {
    const { server, to } = await listen((socket) => socket.destroy());
    const socket = connect({ ...to, allowHalfOpen: true }).resume();
    await once(socket, "end");
    socket.write("x");
    strictEqual((await once(socket, "error"))[0].code, "EPIPE");
    server.close();
  },
  "a reader that does not read stops the writer": async () => {
    const { server, to } = await listen((socket) => socket.on("error", () => undefined).pause());
    const socket = connect(to);
    await once(socket, "connect");
    let count = 0;
    while (socket.write(Buffer.alloc(65_536)) && count < 500) count += 1;
    strictEqual(count < 500, true);
    socket.destroy();
    server.close();
  },
  "HTTP keeps its connection": async () => {
    const http = createHttpServer((incoming, answer) => incoming.pipe(answer));
    const { server, to } = await listen((socket) => http.emit("connection", socket));
    const agent = new Agent({ keepAlive: true });
    let opened = 0;
    agent.createConnection = () => {
      opened += 1;
      return connect(to);
    };
    for (let index = 0; index < 30; index += 1) {
      const outgoing = request({ agent, method: "POST", host: "enclave" }).end(`body ${index}`);
      const [answer] = await once(outgoing, "response");
      strictEqual(String(await bytesOf(answer)), `body ${index}`);
    }
    strictEqual(opened, 1);
    agent.destroy();
    server.close();
  },
  "entropy is credited and the clock is set": async () => {
    addEntropy(openSync("/dev/random", "r+"), randomBytes(64));
    const later = Date.now() + 86_400_000;
    setRealtimeClock(later);
    strictEqual(Math.abs(Date.now() - later) < 1_000, true);
    setRealtimeClock(Date.now() - 86_400_000);
  },
};

for (const [name, check] of Object.entries(CHECKS)) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${CHECK_MS} ms`)), CHECK_MS);
  });
  try {
    await Promise.race([check(), late]);
    process.stdout.write(`ok ${name}\n`);
  } catch (error) {
    process.exitCode = 1;
    process.stdout.write(`FAILED ${name}: ${error instanceof Error ? error.message : error}\n`);
  }
  clearTimeout(timer);
}
process.exit();
