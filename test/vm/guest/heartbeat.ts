/**
 * The heartbeat of a Nitro enclave. AWS's init, before it starts the program, connects to its parent at port 9000, sends one
 * byte, and goes on when that byte comes back; nitro-cli waits for it, echoes it, and takes the enclave for booted.
 */
import { once } from "node:events";
import type { VsockSocket } from "../../../vsock/index.js";
import { connect, createServer } from "../../../vsock/index.js";
import { LOCAL_CID } from "../addresses.js";

const PORT = 9_000;
const HEARTBEAT = 0xb7;

/**
 * The init's end.
 * @throws Error when nothing or another byte comes back, and the system's when nobody listens.
 */
export async function sendHeartbeat(): Promise<void> {
  const socket = connect({ cid: LOCAL_CID, port: PORT });
  socket.write(Uint8Array.of(HEARTBEAT));
  const echo = await new Promise<Buffer | undefined>((resolve, reject) => {
    socket
      .once("data", resolve)
      .once("end", () => resolve(undefined))
      .once("error", reject);
  });
  if (echo?.length !== 1 || echo[0] !== HEARTBEAT)
    throw new Error("expected the heartbeat's echo, got something else or nothing");
}

/** nitro-cli's end; to be called before the enclave boots, as the listener must be there by then. */
export class HeartbeatListener {
  readonly #server = createServer();
  /** The byte that came, once it was answered. */
  readonly came: Promise<number>;

  private constructor(answer: (heartbeat: number) => Uint8Array) {
    this.came = this.#serve(answer);
    this.came.catch(() => undefined); // an enclave that does not boot: who waits for it is told
  }

  /** `answer` is the echo unless given; an empty one closes the connection without a word. */
  static async open(answer = (heartbeat: number): Uint8Array => Uint8Array.of(heartbeat)): Promise<HeartbeatListener> {
    const listener = new HeartbeatListener(answer);
    listener.#server.listen({ cid: LOCAL_CID, port: PORT });
    await once(listener.#server, "listening");
    return listener;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(answer: (heartbeat: number) => Uint8Array): Promise<number> {
    const [socket]: VsockSocket[] = await once(this.#server, "connection");
    if (socket === undefined) throw new TypeError("unreachable: a connection has a socket");
    socket.on("error", () => undefined); // the enclave may be gone
    const [bytes] = await once(socket, "data");
    socket.end(answer(bytes[0]));
    return bytes[0];
  }
}
