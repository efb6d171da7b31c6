/** One connection: what is sent arrives, its ends, and every way in which it fails. */
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { expect, it } from "vitest";
import { connect, VsockSocket } from "../../vsock/index.js";
import { closed, connected, describeNative, echoServer, failure, listening, pair, received } from "../support/vsock.js";

/** Nobody listens at a port as high as this one: the kernel picks low ones. */
const NOBODY = { cid: 1, port: 0x7fff_fff0 };

describeNative("a socket", () => {
  it("carries bytes both ways, and knows its peer and its own port", async () => {
    await using ends = await pair();
    ends.client.end("to the server");
    expect(await received(ends.served)).toBe("to the server");
    ends.served.end("to the client");
    expect(await received(ends.client)).toBe("to the client");
    expect(ends.client).toMatchObject({
      remoteCid: 1,
      remotePort: ends.endpoint.port,
      bytesRead: 13,
      bytesWritten: 13,
    });
    expect(ends.served).toMatchObject({
      remotePort: ends.client.localPort,
      localPort: ends.endpoint.port,
      bytesRead: 13,
    });
  });

  it("sends what was written before it was connected, and then what was written after, in order", async () => {
    const { server, endpoint } = await echoServer();
    const socket = connect(endpoint, () => socket.end("three"));
    expect(socket.connecting).toBe(true);
    socket.write("one ");
    socket.write("two ");
    expect(await received(socket)).toBe("one two three");
    expect(socket.connecting).toBe(false);
    server.close();
  });

  it("sends many small pieces and one large one in their order", async () => {
    await using ends = await pair();
    const parts = Array.from({ length: 500 }, (_, index) => `${index},`.repeat(index % 97));
    parts.push("x".repeat(300_000));
    ends.client.cork();
    for (const part of parts) ends.client.write(part);
    ends.client.write("");
    ends.client.uncork();
    ends.client.end();
    expect(await received(ends.served)).toBe(parts.join(""));
  });

  it("half-closes in both directions", async () => {
    for (const [first, second] of [
      ["client", "served"],
      ["served", "client"],
    ] as const) {
      await using ends = await pair();
      ends[first].end("request");
      expect(await received(ends[second])).toBe("request");
      expect(ends[second].writable).toBe(true);
      ends[second].end("late answer");
      expect(await received(ends[first])).toBe("late answer");
      await Promise.all([closed(ends.client), closed(ends.served)]);
    }
  });

  it("ends by itself after its peer, unless half-open is allowed", async () => {
    await using ends = await pair({});
    ends.client.resume();
    ends.served.end();
    await closed(ends.client);
    expect(ends.client.writableFinished).toBe(true);
  });

  it("reports a port on which nobody listens as the system does, after no retry", async () => {
    const error = await failure(connect(NOBODY));
    const { code, errno, syscall, address, port, message } = error;
    expect({ code, errno, syscall, address, port }).toEqual({
      code: "ECONNREFUSED", // AF_VSOCK says ECONNRESET
      errno: -111,
      syscall: "connect",
      address: `vsock://1:${NOBODY.port}`,
      port: NOBODY.port,
    });
    expect(message).toBe(`connect ECONNREFUSED vsock://1:${NOBODY.port}`);
  });

  it("gives up at the deadline", async () => {
    const { server, endpoint } = await echoServer();
    const occupied = process.hrtime.bigint() + 20_000_000n;
    const socket = connect({ ...endpoint, timeoutMs: 1, retries: 0 });
    while (process.hrtime.bigint() < occupied); // the deadline passes before the event loop turns
    expect(await failure(socket)).toMatchObject({ code: "ETIMEDOUT", syscall: "connect", port: endpoint.port });
    expect(socket.destroyed).toBe(true);
    server.close();
  });

  it("is destroyed by its signal: before, while and after it connects", async () => {
    const { server, endpoint } = await echoServer();
    expect(await failure(connect({ ...endpoint, signal: AbortSignal.abort() }))).toMatchObject({ code: "ABORT_ERR" });
    const controller = new AbortController();
    const connecting = connect({ ...endpoint, signal: controller.signal });
    const standing = await connected(endpoint, { signal: controller.signal });
    const failures = Promise.all([failure(connect({ ...endpoint, signal: controller.signal })), failure(standing)]);
    connecting.on("error", () => undefined);
    controller.abort();
    expect((await failures).map(({ code }) => code)).toEqual(["ABORT_ERR", "ABORT_ERR"]);
    server.close();
  });

  it("can be destroyed while it connects, with what waits to be written", async () => {
    const { server, endpoint } = await echoServer();
    const socket = connect(endpoint, () => expect.fail("connected"));
    const written = new Promise((resolve) => socket.write("never sent", resolve));
    socket.destroy();
    expect(await written).toMatchObject({ code: "ERR_STREAM_DESTROYED" });
    await closed(socket);
    expect(socket.connecting).toBe(false);
    server.close();
  });

  it("takes no write after its end", async () => {
    await using ends = await pair();
    ends.client.end();
    ends.client.write("late");
    expect(await failure(ends.client)).toMatchObject({ code: "ERR_STREAM_WRITE_AFTER_END" });
  });

  it("reports a peer that closed: EPIPE when written to, ECONNRESET when it had not read everything", async () => {
    await using first = await pair();
    first.client.resume();
    first.served.destroy();
    await once(first.client, "end");
    first.client.write("x");
    expect(await failure(first.client)).toMatchObject({
      code: "EPIPE",
      syscall: "write",
      address: `vsock://1:${first.endpoint.port}`,
    });
    await using second = await pair({ allowHalfOpen: true, pauseOnConnect: true });
    await new Promise((resolve) => second.client.write("unread", resolve));
    second.client.resume();
    second.served.destroy();
    expect(await failure(second.client)).toMatchObject({ code: "ECONNRESET", syscall: "read" });
  });

  it("tells of inactivity, again after traffic, and not once that is taken back", async () => {
    await using ends = await pair();
    ends.served.resume();
    expect(ends.client.setTimeout(5)).toBe(ends.client);
    await once(ends.client, "timeout");
    expect(ends.client).toMatchObject({ destroyed: false, timeout: 5 });
    ends.client.write("x");
    await once(ends.client, "timeout");
    const listener = (): void => expect.fail("timed out");
    ends.client.setTimeout(5, listener);
    ends.client.setTimeout(0, listener);
    expect(ends.client.listenerCount("timeout")).toBe(0);
  });

  it("emits no timeout once it is destroyed, and keeps no listener for one", async () => {
    await using ends = await pair();
    ends.client.destroy();
    const listener = (): never => expect.unreachable("a timeout of a destroyed socket");
    expect(ends.client.setTimeout(1, listener)).toBe(ends.client);
    expect(ends.client.listenerCount("timeout")).toBe(0);
    await closed(ends.client);
  });

  it("closes once however often it is destroyed, and destroySoon sends the rest first", async () => {
    await using ends = await pair();
    let closes = 0;
    ends.client.on("close", () => closes++);
    const arrived = received(ends.served);
    ends.client.write("y".repeat(1_000_000));
    ends.client.destroySoon();
    expect((await arrived).length).toBe(1_000_000);
    ends.client.destroy().destroy();
    await closed(ends.client);
    expect(closes).toBe(1);
  });

  it("calls its listeners in the asynchronous context that made it", async () => {
    const { server, endpoint } = await echoServer();
    const context = new AsyncLocalStorage<string>();
    const socket = context.run("the maker's", () => connect(endpoint));
    const seen: (string | undefined)[] = [];
    for (const event of ["connect", "data"]) socket.on(event, () => seen.push(context.getStore()));
    socket.end("x");
    await closed(socket);
    expect(seen).toEqual(["the maker's", "the maker's"]);
    server.close();
  });

  it("has the methods that node:http and node:tls call on a net.Socket", () => {
    const socket = new VsockSocket();
    expect(socket.setNoDelay(true).setKeepAlive(true, 1_000).ref().unref()).toBe(socket);
    socket.destroy();
  });

  it("may listen at a port of one's choice, which others then cannot", async () => {
    const { server, endpoint } = await echoServer();
    const { server: other } = await echoServer();
    await new Promise((resolve) => other.close(resolve));
    const [error] = await Promise.all([once(other, "error"), listening(other, { port: endpoint.port }).catch(() => 0)]);
    expect(error[0]).toMatchObject({ code: "EADDRINUSE", syscall: "listen", address: `vsock://1:${endpoint.port}` });
    server.close();
  });
});
