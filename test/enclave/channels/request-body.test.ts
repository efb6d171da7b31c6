/** Bodies of HTTP requests: what is taken whole or in parts, what is refused, and that nobody waits for one that will not come. */
import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { requestBody } from "../../../enclave/channels/request-body.js";
import { concatBytes, utf8 } from "../../../shared/bytes.js";

const open: { server: Server; socket: Socket }[] = [];
afterEach(() => {
  for (const { server, socket } of open.splice(0)) {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  }
});

/** A request of which so much has been sent, as the server got it. */
async function received(text: string) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  open.push({ server, socket });
  const arrived = once(server, "request");
  socket.write(text);
  const [request]: IncomingMessage[] = await arrived;
  if (request === undefined) throw new Error("expected a request");
  const over = new AbortController();
  return { request, socket, over, body: requestBody(request, { streams: true, signal: over.signal }) };
}

const head = (length: number): string => `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n`;

async function partsOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return concatBytes(...parts);
}

const WAYS = [
  ["whole", (body: ReturnType<typeof requestBody>) => body.whole(1_000)],
  ["as a stream", (body: ReturnType<typeof requestBody>) => partsOf(body.stream())],
] as const;

describe.each(WAYS)("a body that is read %s", (_, read) => {
  it("is what was sent", async () => {
    const { body } = await received(`${head(5)}hello`);
    expect(utf8("hello")).toEqual(new Uint8Array(await read(body)));
  });

  it("is given up when its request is over: the rest never comes", async () => {
    const { body, over } = await received(`${head(5)}hel`);
    const reading = read(body);
    over.abort();
    await expect(reading).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("is given up at once when its request was over before anybody read", async () => {
    const { body, over, request, socket } = await received(`${head(5)}hel`);
    const closed = new Promise((resolve) => request.socket.once("close", resolve));
    socket.destroy();
    await closed;
    over.abort();
    await expect(read(body)).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });

  it("is refused when its connection ends within it", async () => {
    const { body, socket } = await received(`${head(5)}hel`);
    const reading = read(body);
    socket.destroy();
    await expect(reading).rejects.toThrowCode("ERR_MESSAGE_MALFORMED");
  });
});

describe("a body that is too large", () => {
  it("is refused by its length before any of it is read, and else before more than that is in memory", async () => {
    const { body } = await received(`${head(1_001)}`);
    await expect(body.whole(1_000)).rejects.toThrowCode("ERR_MESSAGE_TOO_LARGE");
    const chunked = await received(`POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello!\r\n`);
    await expect(chunked.body.whole(5)).rejects.toThrowCode("ERR_MESSAGE_TOO_LARGE");
  });
});
