import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { createServer } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { AddressRequest } from "../../transport/http.js";
import { createAddressAgent, requestOver } from "../../transport/http.js";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import { anyPeer } from "../support/streams.js";

const baseline: AddressRequest = { method: "GET", path: "/x?y=1", deadlineMs: 5_000, maxResponseBytes: 16 };

async function serving(address: string, listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  onTestFinished(() => server.closeAllConnections());
  onTestFinished(() => void server.close());
  await listenAt(server, address, anyPeer);
  return server;
}

const newAddress = (): string => `unix:${join(testFolder(), "s")}`;

function keptAgent(address: string) {
  const agent = createAddressAgent(address);
  onTestFinished(() => agent.destroy());
  return agent;
}

/** Answers with what came: method, path, one header and the body. */
async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await buffer(request);
  response.writeHead(201, { "x-path": `${request.method} ${request.url}`, "x-sent": request.headers["x-sent"] ?? "" });
  response.end(body);
}

test("sends method, path, headers and body and returns the whole answer", async () => {
  const address = newAddress();
  await serving(address, echo);
  const answer = await requestOver(address, {
    ...baseline,
    method: "POST",
    headers: { "x-sent": "yes" },
    body: utf8("0123456789abcdef"),
  });
  expect(answer.status).toBe(201);
  expect(answer.headers).toMatchObject({ "x-path": "POST /x?y=1", "x-sent": "yes" });
  expect(answer.body).toEqual(utf8("0123456789abcdef"));
});

test("keeps one connection for requests that follow one another", async () => {
  const address = newAddress();
  const server = await serving(address, echo);
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  const agent = keptAgent(address);
  for (let i = 0; i < 5; i++) await requestOver(address, { ...baseline, agent });
  expect(connections).toBe(1);
});

test("reports a missing listener under the caller's code", async () => {
  const address = newAddress();
  await expect(requestOver(address, baseline)).rejects.toThrowCode("ERR_ADDRESS");
  const named = requestOver(address, { ...baseline, failureCode: "ERR_CREDENTIALS" });
  await expect(named).rejects.toThrowCode("ERR_CREDENTIALS");
});

test("pitfall 15: gives up on a server that never answers, and on one that drips", async () => {
  const silent = newAddress();
  await serving(silent, () => undefined);
  await expect(requestOver(silent, { ...baseline, deadlineMs: 50 })).rejects.toThrowCode("ERR_TIMEOUT");
  const dripping = newAddress();
  await serving(dripping, (_request, response) => {
    const drip = setInterval(() => response.write("."), 5);
    response.once("close", () => clearInterval(drip));
  });
  const endless = requestOver(dripping, { ...baseline, deadlineMs: 100, maxResponseBytes: 1_000_000 });
  await expect(endless).rejects.toThrowCode("ERR_TIMEOUT");
});

test("pitfall 15: refuses an answer longer than the limit, and closes the connection that carries it", async () => {
  const address = newAddress();
  const closings: Promise<unknown>[] = [];
  await serving(address, (_request, response) => {
    closings.push(new Promise((resolve) => response.once("close", resolve)));
    const flood = (): void => {
      while (!response.destroyed && response.write("0123456789abcdef"));
    };
    response.on("drain", flood);
    flood();
  });
  await expect(requestOver(address, { ...baseline, failureCode: "ERR_BUSY" })).rejects.toThrowCode("ERR_BUSY");
  expect(closings).toHaveLength(1);
  await Promise.all(closings);
});

test("reports a server that dies in the middle of its answer", async () => {
  const address = newAddress();
  await serving(address, (_request, response) => {
    response.writeHead(200, { "content-length": 10 });
    response.write("01234", () => response.destroy());
  });
  await expect(requestOver(address, { ...baseline, failureCode: "ERR_BUSY" })).rejects.toThrowCode("ERR_BUSY");
});

test("reports an answer that is not HTTP", async () => {
  const address = newAddress();
  const server = await serving(address, echo);
  server.removeAllListeners("connection");
  server.on("connection", (socket) => socket.end("SSH-2.0-what\r\n"));
  await expect(requestOver(address, { ...baseline, failureCode: "ERR_BUSY" })).rejects.toThrowCode("ERR_BUSY");
});

test("gives up with the reason of an aborted signal", async () => {
  const address = newAddress();
  const controller = new AbortController();
  await serving(address, () => controller.abort(new ServiceError("ERR_BUSY", "no longer wanted")));
  await expect(requestOver(address, { ...baseline, signal: controller.signal })).rejects.toThrowCode("ERR_BUSY");
});

/** Answers the first request of each connection and drops the connection at the second, as a closing server does. */
async function servingOnce(address: string): Promise<{ requests: number }> {
  const seen = { requests: 0 };
  const used = new WeakSet<object>();
  await serving(address, (request, response) => {
    seen.requests += 1;
    if (used.has(request.socket)) {
      request.socket.destroy();
      return;
    }
    used.add(request.socket);
    response.end("ok");
  });
  return seen;
}

test("sends again what may be sent twice when a kept connection was lost", async () => {
  const address = newAddress();
  const seen = await servingOnce(address);
  const agent = keptAgent(address);
  await requestOver(address, { ...baseline, agent });
  expect((await requestOver(address, { ...baseline, agent })).status).toBe(200);
  const post = { ...baseline, method: "POST", idempotent: true, agent };
  expect((await requestOver(address, post)).status).toBe(200);
  expect(seen.requests).toBe(5);
});

test("does not send again what may not be sent twice", async () => {
  const address = newAddress();
  const seen = await servingOnce(address);
  const agent = keptAgent(address);
  await requestOver(address, { ...baseline, agent });
  await expect(requestOver(address, { ...baseline, method: "POST", agent })).rejects.toThrowCode("ERR_ADDRESS");
  expect(seen.requests).toBe(2);
});

test("finds a server that came back at the same address", async () => {
  const address = newAddress();
  const agent = keptAgent(address);
  const first = await serving(address, echo);
  await requestOver(address, { ...baseline, agent });
  first.closeAllConnections();
  await new Promise((resolve) => first.close(resolve));
  await expect(requestOver(address, { ...baseline, agent })).rejects.toThrowCode("ERR_ADDRESS");
  await serving(address, echo);
  expect((await requestOver(address, { ...baseline, agent })).status).toBe(201);
});

test("drops a kept connection as soon as the other side ends it", async () => {
  const address = newAddress();
  const server = await serving(address, echo);
  const agent = keptAgent(address);
  await requestOver(address, { ...baseline, agent });
  expect(Object.keys(agent.freeSockets)).toHaveLength(1);
  server.closeIdleConnections();
  while (Object.keys(agent.freeSockets).length > 0) await new Promise((resolve) => setImmediate(resolve));
  expect((await requestOver(address, { ...baseline, method: "POST", agent })).status).toBe(201);
});

test("holds requests to the agent's number of connections", async () => {
  const address = newAddress();
  let open = 0;
  let most = 0;
  const server = await serving(address, echo);
  server.on("connection", (socket) => {
    open += 1;
    most = Math.max(most, open);
    socket.once("close", () => {
      open -= 1;
    });
  });
  const agent = createAddressAgent(address, { maxSockets: 3 });
  onTestFinished(() => agent.destroy());
  const answers = await Promise.all(Array.from({ length: 40 }, () => requestOver(address, { ...baseline, agent })));
  expect(answers.every(({ status }) => status === 201)).toBe(true);
  expect(most).toBeLessThanOrEqual(3);
});

test("refuses an agent for an address that cannot be opened", () => {
  expect(() => createAddressAgent("http://parent")).toThrowCode("ERR_ADDRESS");
});
