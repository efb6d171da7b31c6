import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { EnclaveClient } from "../../parent/enclave-client.js";
import { createEnclaveClient } from "../../parent/enclave-client.js";
import { DEFAULT_LIMITS } from "../../parent/limits.js";
import { listenAt } from "../../transport/listen.js";
import { testFolder } from "../support/folder.js";
import { anyPeer } from "../support/streams.js";
import { fakeEnclave } from "./fakes.js";

function clientOf(address: string, onAnswer: (answered: boolean) => void = () => undefined): EnclaveClient {
  const client = createEnclaveClient(address, { ...DEFAULT_LIMITS, maxConcurrentRequests: 2 }, onAnswer);
  onTestFinished(() => client.close());
  return client;
}

const newAddress = (): string => `unix:${join(testFolder(), "enclave")}`;

test("those who probe at the same time share one question, and later ones ask anew", async () => {
  const address = newAddress();
  let asked = 0;
  await fakeEnclave(address, (_request, response) => {
    asked += 1;
    response.end("{}");
  });
  const client = clientOf(address);
  await Promise.all(Array.from({ length: 10 }, () => client.probe("/healthz")));
  expect(asked).toBe(1);
  await client.probe("/healthz");
  expect(asked).toBe(2);
  await Promise.all([client.probe("/healthz"), client.probe("/readyz")]);
  expect(asked).toBe(4);
});

test("a failed probe is not remembered", async () => {
  const address = newAddress();
  const client = clientOf(address);
  await expect(client.probe("/readyz")).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
  await fakeEnclave(address, (_request, response) => void response.end("{}"));
  expect((await client.probe("/readyz")).status).toBe(200);
});

test("gives out as many places as there are, and each again after it was given back", () => {
  const client = clientOf("unix:/nowhere");
  client.admit();
  const giveBack = client.admit();
  expect(() => client.admit()).toThrowCode("ERR_BUSY");
  giveBack();
  client.admit();
  expect(() => client.admit()).toThrowCode("ERR_BUSY");
});

test("tells whether the enclave answered, and not of requests that were given up", async () => {
  const address = newAddress();
  const answers: boolean[] = [];
  const client = clientOf(address, (answered) => answers.push(answered));
  await expect(client.probe("/healthz")).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
  const leaving = new AbortController();
  await fakeEnclave(address, (request, response: ServerResponse) => {
    if (request.url === "/attestation") leaving.abort(new Error("left"));
    else response.writeHead(503).end();
  });
  const request = { method: "GET", path: "/attestation", headers: {}, maxResponseBytes: 10, idempotent: true };
  await expect(client.send({ ...request, signal: leaving.signal })).rejects.toThrow("left");
  await client.probe("/healthz");
  expect(answers).toEqual([false, true]);
});

test("refuses an address that cannot be opened, before any request", () => {
  expect(() => clientOf("http://enclave")).toThrowCode("ERR_ADDRESS");
  expect(() => clientOf("http://enclave")).toThrowCode("ERR_ADDRESS");
});

/** An enclave that answers every request with these bytes. */
async function rawEnclave(answer: string): Promise<string> {
  const address = newAddress();
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.write(answer));
    onTestFinished(() => void socket.destroy());
  });
  onTestFinished(() => void server.close());
  await listenAt(server, address, anyPeer);
  return address;
}

test.each([
  ["another protocol", "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
  ["a status that HTTP has not", "HTTP/1.1 999 Fine\r\ncontent-length: 2\r\n\r\n{}"],
])("%s is no answer, and told at once", async (_, answer) => {
  const client = clientOf(await rawEnclave(answer));
  await expect(client.probe("/healthz")).rejects.toThrowCode("ERR_ENCLAVE_UNAVAILABLE");
});
