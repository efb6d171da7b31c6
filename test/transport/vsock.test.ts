/**
 * Addresses on vsock, over the addon's test binary, whose endpoints are abstract Unix sockets and whose only CID is 1: who is
 * let in, that servers of node:http keep their limits there, and what closing waits for.
 */
import { once } from "node:events";
import type { RequestListener, Server, ServerOptions, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { connectTo } from "../../transport/connect.js";
import { createAddressAgent, requestOver } from "../../transport/http.js";
import type { ListenOptions } from "../../transport/listen.js";
import { listenAt, peerCidOf } from "../../transport/listen.js";
import { describeNative } from "../support/vsock.js";

let nextPort = 20_000 + (process.pid % 1_000) * 40;
const newAddress = (): string => `vsock://1:${nextPort++}`;
const fromParent: ListenOptions = { allowPeer: (cid) => cid === 1 };

interface Changes extends ServerOptions {
  readonly options?: ListenOptions;
  readonly maxConnections?: number;
}

async function serve(listener: RequestListener, { options = fromParent, maxConnections, ...http }: Changes = {}) {
  const server: Server = createServer(http, listener);
  if (maxConnections !== undefined) server.maxConnections = maxConnections;
  const address = newAddress();
  const listening = await listenAt(server, address, options);
  onTestFinished(async () => {
    server.closeAllConnections();
    await listening.close();
  });
  return { server, address, listening };
}

const get = (address: string) =>
  requestOver(address, { method: "GET", path: "/x", deadlineMs: 5_000, maxResponseBytes: 1_000 });

describeNative("addresses on vsock", () => {
  test("carry HTTP, and the server knows the CID of who connects", async () => {
    const { address } = await serve((request, response) => response.end(String(peerCidOf(request.socket))));
    const { status, body } = await get(address);
    expect([status, Buffer.from(body).toString()]).toEqual([200, "1"]);
  });

  test("close a connection of another CID before anything is read", async () => {
    let requests = 0;
    const listener: RequestListener = (_request, response) => {
      requests += 1;
      response.end();
    };
    const { address } = await serve(listener, { options: { allowPeer: (cid) => cid === 3 } });
    await expect(get(address)).rejects.toThrowCode("ERR_ADDRESS");
    expect(requests).toBe(0);
  });

  test("tell how many connections a CID has open, and forget those that end", async () => {
    const seen: number[] = [];
    const allowPeer = (_cid: number, open: number): boolean => {
      seen.push(open);
      return open < 2;
    };
    const { address } = await serve((_request, response) => response.end(), { options: { allowPeer } });
    const held = async () => {
      const stream = await connectTo(address, { deadlineMs: 5_000 });
      stream.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
      await once(stream, "data");
      return stream;
    };
    const first = await held();
    await held();
    await expect(get(address)).rejects.toThrowCode("ERR_ADDRESS");
    first.destroy();
    await expect
      .poll(() =>
        get(address).then(
          ({ status }) => status,
          () => undefined,
        ),
      )
      .toBe(200);
    expect(seen.slice(0, 3)).toEqual([0, 1, 2]);
  });

  test("pitfall 15: end a request whose head does not arrive in time", async () => {
    const limits = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20 };
    const { address } = await serve((_request, response) => response.end(), limits);
    const stream = await connectTo(address, { deadlineMs: 5_000 });
    stream.write("GET / HTTP/1.1\r\nhost:");
    expect((await buffer(stream)).toString()).toMatch(/^HTTP\/1\.1 408 /);
    stream.destroy();
  });

  test("hold the server's bound on connections", async () => {
    const { address } = await serve((_request, response) => response.end(), { maxConnections: 1 });
    const first = await connectTo(address, { deadlineMs: 5_000 });
    first.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(first, "data");
    await expect(get(address)).rejects.toThrowCode("ERR_ADDRESS");
    first.destroy();
  });

  test("are left once the last request is answered", async () => {
    const held: ServerResponse[] = [];
    const { address, listening } = await serve((_request, response) => void held.push(response));
    const agent = createAddressAgent(address);
    const request = { method: "GET", path: "/", deadlineMs: 5_000, maxResponseBytes: 100, agent };
    const answered = requestOver(address, request);
    await expect.poll(() => held.length).toBe(1);
    const closed = listening.close();
    await expect(get(address)).rejects.toThrowCode("ERR_ADDRESS");
    held[0]?.end("late");
    expect(Buffer.from((await answered).body).toString()).toBe("late");
    agent.destroy();
    await closed;
  });

  test("are refused when somebody listens there", async () => {
    const { address } = await serve((_request, response) => response.end());
    await expect(listenAt(createServer(), address, fromParent)).rejects.toMatchObject({
      code: "ERR_ADDRESS",
      cause: { code: "EADDRINUSE" },
    });
  });

  test("say that the deadline passed, whoever noticed it first", async () => {
    const { address } = await serve((_request, response) => response.end());
    const occupied = process.hrtime.bigint() + 20_000_000n;
    const attempt = connectTo(address, { deadlineMs: 1, failureCode: "ERR_ENCLAVE_UNAVAILABLE" });
    while (process.hrtime.bigint() < occupied); // the deadline passes before the event loop turns
    await expect(attempt).rejects.toThrowCode("ERR_TIMEOUT");
  });

  test.each([1_234.5, 2 ** 31, Number.POSITIVE_INFINITY])("take a deadline of %s ms", async (deadlineMs) => {
    const { address } = await serve((_request, response) => response.end());
    const stream = await connectTo(address, { deadlineMs });
    expect(peerCidOf(stream)).toBe(1);
    stream.destroy();
  });

  test("are closed for everybody who closes them when the last connection has ended", async () => {
    const held: ServerResponse[] = [];
    const { address, listening } = await serve((_request, response) => void held.push(response));
    const answered = get(address);
    await expect.poll(() => held.length).toBe(1);
    const order: string[] = [];
    const first = listening.close();
    const second = listening.close().then(() => order.push("closed"));
    await new Promise(setImmediate);
    order.push("answered");
    held[0]?.end();
    await Promise.all([answered, first, second]);
    expect(order).toEqual(["answered", "closed"]);
  });

  test("say when nobody listens", async () => {
    await expect(connectTo(newAddress(), { deadlineMs: 5_000 })).rejects.toMatchObject({ code: "ERR_ADDRESS" });
  });
});
