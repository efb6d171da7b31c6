/**
 * The cryptography that a channel cannot do without, with nothing around it: the HPKE operations of one sealed request and
 * its answer, all in this process; and the same bytes there and back over TLS 1.3 connections that are kept, whose other
 * end is a thread of its own.
 */
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { Worker } from "node:worker_threads";
import { generateKeyPair } from "../shared/ohttp/key-configuration.js";
import { openRequest, sealRequest } from "../shared/ohttp/request.js";
import { KEM_X25519_HKDF_SHA256 } from "../shared/ohttp/suites.js";

/** One message there and back. */
export type BareExchange = (message: Uint8Array) => Promise<void>;

/** Seals and opens a request, and seals and opens its answer. */
export async function bareHpke(): Promise<BareExchange> {
  const pair = await generateKeyPair(KEM_X25519_HKDF_SHA256, 1);
  return async (message) => {
    const { sealed, openResponse } = await sealRequest(pair.configuration, message);
    const { request, sealResponse } = await openRequest(pair, sealed);
    const answer = await openResponse(await sealResponse(request));
    if (answer.length !== message.length) throw new Error("the answer is not what was sealed");
  };
}

export interface BareTls {
  readonly exchange: BareExchange;
  close(): Promise<void>;
}

/** An echo over as many connections as there are exchanges at a time. */
export async function bareTls(): Promise<BareTls> {
  const worker = new Worker(new URL("./tls-echo.js", import.meta.url));
  const [port] = await once(worker, "message");
  const free: TLSSocket[] = [];
  return {
    async exchange(message) {
      const socket = free.pop() ?? (await open(port));
      await echo(socket, message);
      free.push(socket);
    },
    async close() {
      for (const socket of free) socket.destroy();
      await worker.terminate();
    },
  };
}

async function open(port: number): Promise<TLSSocket> {
  // Nothing is decided on who answers: it is a thread of this process, and what is sent is no secret.
  const socket = connect({ host: "127.0.0.1", port, minVersion: "TLSv1.3", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  socket.setNoDelay(true);
  return socket;
}

function echo(socket: TLSSocket, message: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = message.length;
    const settle = (end: () => void): void => {
      socket.off("data", onData).off("error", onError);
      end();
    };
    const onData = (part: Uint8Array): void => {
      left -= part.length;
      if (left <= 0) settle(resolve);
    };
    const onError = (error: Error): void => settle(() => reject(error));
    socket.on("data", onData).on("error", onError);
    socket.write(message);
  });
}
