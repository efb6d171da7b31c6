/** An HTTP/1.1 client that does nothing but send the same bytes and take the answers in, over connections that are kept. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");

export interface RawAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export interface RawClient {
  send(request: Buffer): Promise<RawAnswer>;
  close(): void;
}

/** The bytes of a POST request. */
export function rawRequest(headers: Readonly<Record<string, string>>, body: Uint8Array): Buffer {
  const lines = Object.entries({ ...headers, "content-length": String(body.length) });
  const head = ["POST / HTTP/1.1", ...lines.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
  return Buffer.concat([Buffer.from(head), body]);
}

/** A client of a server on this machine; it opens as many connections as there are requests at a time. */
export function rawClient(port: number): RawClient {
  const free: Socket[] = [];
  const all: Socket[] = [];
  const open = async (): Promise<Socket> => {
    const socket = connect({ host: "127.0.0.1", port });
    await once(socket, "connect");
    socket.setNoDelay(true);
    all.push(socket);
    return socket;
  };
  return {
    async send(request) {
      const socket = free.pop() ?? (await open());
      const answer = await exchange(socket, request);
      free.push(socket);
      return answer;
    },
    close() {
      for (const socket of all) socket.destroy();
    },
  };
}

function exchange(socket: Socket, request: Buffer): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const answer = parse(received);
      if (answer === undefined) return;
      socket.off("data", take).off("close", closed);
      resolve(answer);
    };
    const closed = (): void => reject(new Error("the server closed the connection"));
    socket.on("data", take).on("close", closed);
    socket.write(request);
  });
}

function parse(received: Buffer): RawAnswer | undefined {
  const end = received.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const head = received.toString("latin1", 0, end);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  const body = received.subarray(end + HEAD_END.length);
  return body.length < length ? undefined : { status: Number(head.slice(9, 12)), body };
}
