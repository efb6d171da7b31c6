import { chmodSync, existsSync, linkSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { ServiceError } from "../../shared/errors.js";
import { assertOpenable, connectTo } from "../../transport/connect.js";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import { addonBuilt } from "../support/native.js";
import { anyPeer, collect } from "../support/streams.js";

const newPath = (): string => join(testFolder(), "s");

async function listening(path: string, onConnection: (stream: Duplex) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (stream) => {
    stream.on("error", () => stream.destroy()); // a client that gave up resets it
    onConnection(stream);
  });
  onTestFinished(() => void server.close());
  await listenAt(server, `unix:${path}`, anyPeer);
  return server;
}

const closed = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

/** A socket file whose owner is gone: libuv removes the name that it bound, and not this second one. */
async function staleSocket(): Promise<string> {
  const path = newPath();
  const owner = await listening(`${path}.bound`, (stream) => stream.destroy());
  linkSync(`${path}.bound`, path);
  await closed(owner);
  return path;
}

describe("connectTo", () => {
  test("carries bytes both ways, and an ended direction leaves the other open", async () => {
    const path = newPath();
    await listening(path, async (stream) => stream.end(Buffer.concat([Buffer.from("got "), await collect(stream)])));
    const stream = await connectTo(`unix:${path}`, { deadlineMs: 5_000 });
    stream.end("ping");
    expect((await collect(stream)).toString()).toBe("got ping");
  });

  test("reports a missing listener under the caller's code, with the system's error as its cause", async () => {
    const address = `unix:${newPath()}`;
    await expect(connectTo(address, { deadlineMs: 5_000 })).rejects.toThrowCode("ERR_ADDRESS");
    const error = await connectTo(address, { deadlineMs: 5_000, failureCode: "ERR_ENCLAVE_UNAVAILABLE" }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "ERR_ENCLAVE_UNAVAILABLE", cause: { code: "ENOENT" } });
  });

  test("gives up when its deadline passes", async () => {
    const path = newPath();
    await listening(path, (stream) => stream.destroy());
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const attempt = connectTo(`unix:${path}`, { deadlineMs: 1_000 });
    vi.advanceTimersByTime(1_000);
    await expect(attempt).rejects.toThrowCode("ERR_TIMEOUT");
  });

  test("gives up with the reason of an aborted signal, before and during the attempt", async () => {
    const path = newPath();
    await listening(path, (stream) => stream.destroy());
    const controller = new AbortController();
    const attempt = connectTo(`unix:${path}`, { deadlineMs: 5_000, signal: controller.signal });
    controller.abort(new ServiceError("ERR_BUSY", "no longer wanted"));
    await expect(attempt).rejects.toThrowCode("ERR_BUSY");
    const late = connectTo(`unix:${path}`, { deadlineMs: 5_000, signal: controller.signal });
    await expect(late).rejects.toThrowCode("ERR_BUSY");
  });

  // With the addon these addresses are opened, which no test may do on a host whose vsock leads elsewhere.
  test.skipIf(addonBuilt)("refuses a vsock address without the addon, and says how to build it", async () => {
    const error = await connectTo("vsock://16:5000", { deadlineMs: 5_000 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_ADDRESS", message: expect.stringContaining("npm run build:native") });
    expect(() => assertOpenable("vsock://16:5000")).toThrowCode("ERR_ADDRESS");
    expect(() => assertOpenable("unix:/a")).not.toThrow();
  });

  test("refuses what is no address", async () => {
    await expect(connectTo("tcp://127.0.0.1:80", { deadlineMs: 5_000 })).rejects.toThrowCode("ERR_ADDRESS");
  });
});

describe("listenAt", () => {
  test("makes a socket for its owner alone, under any umask, and takes it away at close", async () => {
    const path = newPath();
    const before = process.umask(0);
    const server = await listening(path, (stream) => stream.destroy()).finally(() => process.umask(before));
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    await closed(server);
    expect(existsSync(path)).toBe(false);
  });

  test("replaces a socket whose owner is gone", async () => {
    const path = await staleSocket();
    expect(lstatSync(path).isSocket()).toBe(true);
    await expect(connectTo(`unix:${path}`, { deadlineMs: 5_000 })).rejects.toThrowCode("ERR_ADDRESS");
    await listening(path, (stream) => stream.end("new"));
    const stream = await connectTo(`unix:${path}`, { deadlineMs: 5_000 });
    stream.end();
    expect((await collect(stream)).toString()).toBe("new");
  });

  test("pitfall 14: leaves an address on which somebody answers to its owner", async () => {
    const path = newPath();
    await listening(path, (stream) => stream.end("first"));
    await expect(listenAt(createServer(), `unix:${path}`, anyPeer)).rejects.toThrowCode("ERR_ADDRESS");
    const stream = await connectTo(`unix:${path}`, { deadlineMs: 5_000 });
    stream.end();
    expect((await collect(stream)).toString()).toBe("first");
  });

  test("leaves a file that is no socket alone", async () => {
    const path = newPath();
    writeFileSync(path, "precious");
    await expect(listenAt(createServer(), `unix:${path}`, anyPeer)).rejects.toThrowCode("ERR_ADDRESS");
    expect(readFileSync(path, "utf8")).toBe("precious");
  });

  test("refuses a folder that is not there", async () => {
    await expect(listenAt(createServer(), `unix:${newPath()}/missing/s`, anyPeer)).rejects.toThrowCode("ERR_ADDRESS");
  });

  test.skipIf(addonBuilt)("refuses a vsock address without the addon", async () => {
    await expect(listenAt(createServer(), "vsock://3:8000", anyPeer)).rejects.toThrowCode("ERR_ADDRESS");
  });

  const isRoot = process.getuid?.() === 0; // root may open every socket
  test.skipIf(isRoot)("counts a socket that cannot be asked as one in use", async () => {
    const path = await staleSocket();
    chmodSync(path, 0o000);
    await expect(listenAt(createServer(), `unix:${path}`, anyPeer)).rejects.toThrowCode("ERR_ADDRESS");
  });
});
