/**
 * Two servers in a thread of their own: a simulated KMS over plain HTTP, and a bare `node:http` server that reads a request
 * and answers the bytes that it was last told.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { startKms } from "../simulator/endpoint/server.js";

const port = parentPort;
if (port === null) throw new Error("this module is the body of a worker");

const kms = await startKms({ ...workerData, protocol: "http" });

let answer = Buffer.alloc(0);
port.on("message", (body: Uint8Array) => {
  answer = Buffer.from(body);
  port.postMessage("told");
});
const bare = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.writeHead(200, { "content-type": "application/x-amz-json-1.1", "content-length": answer.length });
    response.end(answer);
  });
});
bare.listen(0, "127.0.0.1");
await once(bare, "listening");
port.postMessage({ kms: kms.port, bare: (bare.address() as AddressInfo).port });
