/** Much at once: nothing is lost, buffers stay bounded, descriptors come back. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import type { VsockSocket } from "../../vsock/index.js";
import { connect } from "../../vsock/index.js";
import { projectRoot, runCommand } from "../support/project.js";
import { closed, connected, describeNative, echoServer, pair, program, testAddon } from "../support/vsock.js";

const MIB = 1024 * 1024;
/** What may lie in a socket's own buffers: the high-water mark and the chunk that crosses it. */
const BUFFERED_MAX_BYTES = 2 * 65_536;

/** Some machines have no strace, others do not let it trace. */
const straceRuns = testAddon !== undefined && runCommand("strace", ["-qq", "true"], projectRoot).status === 0;
if (testAddon !== undefined && !straceRuns)
  process.stderr.write("skipped: the length of writes: strace does not run here\n");

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** Writes `total` bytes of `chunk` as fast as "drain" allows; the most that was buffered meanwhile. */
async function writeAll(socket: VsockSocket, chunk: Buffer, total: number): Promise<number> {
  let most = 0;
  for (let sent = 0; sent < total; sent += chunk.length) {
    if (!socket.write(chunk)) await once(socket, "drain");
    most = Math.max(most, socket.writableLength);
  }
  socket.end();
  return most;
}

/** Reads with a pause at every `pauseEvery` bytes; the hash of everything and the most that was buffered. */
async function readSlowly(
  socket: VsockSocket,
  pauseEvery: number,
): Promise<{ hash: string; length: number; most: number }> {
  const hash = createHash("sha256");
  let [length, most, next] = [0, 0, pauseEvery];
  socket.on("data", (part: Buffer) => {
    hash.update(part);
    length += part.length;
    if (length < next) return;
    next += pauseEvery;
    socket.pause();
    setTimeout(() => {
      most = Math.max(most, socket.readableLength);
      socket.resume();
    }, 2);
  });
  await once(socket, "end");
  return { hash: hash.digest("hex"), length, most };
}

describeNative("under pressure", () => {
  it("echoes 64 MiB to a slow reader with bounded buffers", async () => {
    const { server, endpoint } = await echoServer({ allowHalfOpen: true });
    const client = await connected(endpoint, { allowHalfOpen: true });
    const chunk = randomBytes(64 * 1024);
    const all = Buffer.concat(Array.from({ length: 1024 }, () => chunk));
    const [written, read] = await Promise.all([writeAll(client, chunk, 64 * MIB), readSlowly(client, MIB)]);
    expect(read.length).toBe(64 * MIB);
    expect(read.hash).toBe(sha256(all));
    expect(read.most).toBeLessThanOrEqual(BUFFERED_MAX_BYTES);
    expect(written).toBeLessThanOrEqual(BUFFERED_MAX_BYTES);
    server.close();
  });

  it("stops sending when the peer does not read, and stops reading when nobody takes it", async () => {
    await using ends = await pair({ allowHalfOpen: true });
    ends.served.on("error", () => undefined).pause();
    let sent = 0;
    while (ends.client.write(Buffer.alloc(65_536)) || ends.client.writableLength === 0) sent += 1;
    for (let count = 0; count < 50; count += 1) await turn();
    expect(sent).toBeLessThan(64);
    expect(ends.served.readableLength).toBeLessThanOrEqual(BUFFERED_MAX_BYTES);
    const stalledAt = ends.client.bytesWritten;
    for (let count = 0; count < 50; count += 1) await turn();
    expect(ends.client.bytesWritten).toBe(stalledAt);
    expect(stalledAt).toBeLessThan(4 * MIB);
  });

  it("a chunk of 20 MiB arrives whole, and unchanged although its sender overwrites it afterwards", async () => {
    await using ends = await pair({ allowHalfOpen: true });
    const chunk = randomBytes(20 * MIB);
    const hash = sha256(chunk);
    ends.client.write(chunk, () => void chunk.fill(0));
    ends.client.end();
    expect(await readSlowly(ends.served, 4 * MIB)).toMatchObject({ hash, length: 20 * MIB });
  });

  it("what was read stays as it was while more is read", async () => {
    await using ends = await pair({ allowHalfOpen: true });
    const chunks: { part: Buffer; hash: string }[] = [];
    ends.served.on("data", (part: Buffer) => chunks.push({ part, hash: sha256(part) }));
    const sizes = Array.from({ length: 400 }, (_, index) => 1 + ((index * 7_919) % 70_000));
    for (const size of sizes) if (!ends.client.write(randomBytes(size))) await once(ends.client, "drain");
    ends.client.end();
    await once(ends.served, "end");
    expect(chunks.length).toBeGreaterThan(50);
    expect(chunks.filter(({ part, hash }) => sha256(part) !== hash)).toEqual([]);
  });

  it.skipIf(!straceRuns)("writes no more than 32 KiB at a time", () => {
    const args = ["-f", "-qq", "-e", "trace=write,writev,sendto,sendmsg", process.execPath, program("wire.mjs")];
    const { stdout, stderr } = runCommand("strace", args, projectRoot);
    expect(stdout).toBe("3300001\n");
    const lengths = [...stderr.matchAll(/= (\d+)$/gm)].map(([, length]) => Number(length));
    expect(lengths.filter((length) => length === 32_768).length).toBeGreaterThan(80);
    expect(Math.max(...lengths)).toBe(32_768);
  });

  it("destroys a sender in the middle of a write, whose callback says so", async () => {
    await using ends = await pair({ allowHalfOpen: true });
    ends.served.pause();
    const written = new Promise((resolve) => ends.client.write(Buffer.alloc(8 * MIB), resolve));
    await turn();
    ends.client.destroy();
    expect(await written).toMatchObject({ code: "ERR_STREAM_DESTROYED" });
    await closed(ends.client);
  });

  it("10,000 connections, opened and closed 50 at a time, leave no descriptor behind", async () => {
    const { server, endpoint } = await echoServer();
    const descriptors = (): number => readdirSync("/proc/self/fd").length;
    const visit = async (index: number): Promise<void> => {
      const socket = connect({ ...endpoint, timeoutMs: 60_000, retries: 20 });
      socket.resume();
      if (index % 3 === 0) socket.end("x");
      else if (index % 3 === 1) socket.once("connect", () => socket.destroy());
      else socket.write("x", () => socket.destroySoon());
      await closed(socket);
    };
    const before = descriptors();
    for (let index = 0; index < 10_000; index += 50)
      await Promise.all(Array.from({ length: 50 }, (_, offset) => visit(index + offset)));
    await new Promise((resolve) => server.close(resolve));
    expect(descriptors()).toBeLessThan(before);
  });
});
