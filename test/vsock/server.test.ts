/** A listener: its life, its limits, and what it does when descriptors run out. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import type { VsockSocket } from "../../vsock/index.js";
import { connect, createServer } from "../../vsock/index.js";
import { closed, connected, describeNative, echoServer, listening, pair, program, received } from "../support/vsock.js";

describeNative("a server", () => {
  it("listens, says where, and counts its connections", async () => {
    await using ends = await pair();
    expect(ends.server.listening).toBe(true);
    expect(ends.server.address()).toEqual(ends.endpoint);
    expect(await new Promise((resolve) => ends.server.getConnections((_, count) => resolve(count)))).toBe(1);
    expect(() => ends.server.listen(ends.endpoint)).toThrow(
      expect.objectContaining({ code: "ERR_SERVER_ALREADY_LISTEN" }),
    );
  });

  it("closes when its last connection has; a second close says that it does not run", async () => {
    const ends = await pair();
    const order: string[] = [];
    const done = new Promise<void>((resolve) => ends.server.close(() => resolve(void order.push("server"))));
    expect(ends.server).toMatchObject({ listening: false });
    expect(ends.server.address()).toBe(null);
    ends.client.write("still carried");
    const [data] = await once(ends.served, "data");
    expect(String(data)).toBe("still carried");
    ends.served.on("close", () => order.push("socket"));
    ends.client.destroy();
    ends.served.destroy();
    await done;
    expect(order).toEqual(["socket", "server"]);
    const again = await new Promise((resolve) => ends.server.close(resolve));
    expect(again).toMatchObject({ code: "ERR_SERVER_NOT_RUNNING" });
  });

  it("can listen again after it has closed", async () => {
    const { server } = await echoServer();
    await new Promise((resolve) => server.close(resolve));
    const socket = connect(await listening(server));
    socket.end("again");
    expect(await received(socket)).toBe("again");
    server.close();
  });

  it("drops connections beyond maxConnections", async () => {
    const { server, endpoint } = await echoServer();
    server.maxConnections = 1;
    const first = await connected(endpoint);
    const dropped = once(server, "drop");
    const second = connect(endpoint).resume();
    expect(await dropped).toMatchObject([{ remoteCid: 1 }]);
    await closed(second);
    first.end("kept");
    expect(await received(first)).toBe("kept");
    server.close();
  });

  it("hands sockets out paused when asked to", async () => {
    await using ends = await pair({ pauseOnConnect: true, allowHalfOpen: true });
    ends.client.end("x".repeat(100_000));
    await new Promise(setImmediate);
    expect(ends.served.isPaused()).toBe(true);
    expect(ends.served.bytesRead).toBe(0);
    expect((await received(ends.served.resume())).length).toBe(100_000);
  });

  it("a full backlog is waited out by retries, and refuses without", async () => {
    const server = createServer({}, (socket) => void socket.resume());
    const endpoint = await listening(server, { backlog: 1 });
    const attempt = (retries: number): Promise<string> =>
      new Promise((resolve) => {
        const socket: VsockSocket = connect({ ...endpoint, retries });
        socket
          .once("connect", () => resolve("connected"))
          .once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
        socket.once("connect", () => socket.end());
        socket.resume();
      });
    const all = (retries: number): Promise<string[]> => Promise.all(Array.from({ length: 20 }, () => attempt(retries)));
    expect(new Set(await all(0))).toEqual(new Set(["connected", "EAGAIN"])); // AF_VSOCK says ECONNRESET
    expect(new Set(await all(8))).toEqual(new Set(["connected"]));
    server.close();
  });

  it("reports that descriptors ran out, goes on, and accepts those who waited", async () => {
    const child = spawn("sh", ["-c", `ulimit -n 60; exec "${process.execPath}" "${program("few-descriptors.mjs")}"`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const next = async (): Promise<string> => (await lines.next()).value;
    const endpoint = JSON.parse(await next());
    const sockets = await Promise.all(Array.from({ length: 80 }, () => connected(endpoint, { allowHalfOpen: true })));
    expect(await next()).toBe("EMFILE");
    const answered = sockets.map((socket) => once(socket, "data"));
    for (const socket of sockets) socket.write("?");
    for (const [index, answer] of answered.entries()) {
      await answer;
      sockets[index]?.destroy();
    }
    child.kill();
    await once(child, "exit");
  });
});
