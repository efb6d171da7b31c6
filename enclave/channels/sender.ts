/**
 * Sending answers on node:http. A whole answer has a deadline from its beginning: until it is gone it is held in memory. A
 * stream has one for each part: a reader that takes nothing for so long loses the connection (PITFALLS 15).
 *
 * A stream's outcome is told in a trailer: `outcome: OK`, or the code of what went wrong after the head had been sent.
 * Whoever reads it believes the answer only with that trailer: the end of a connection proves nothing.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { wipe } from "../../shared/bytes.js";
import { ServiceError, toServiceError } from "../../shared/errors.js";
import { OUTCOME_TRAILER } from "../../shared/wire.js";
import { onceGone } from "../../transport/exchange.js";
import type { Clock } from "../clock.js";

/** For the other side to take an answer, or a part of one. */
export const SEND_MS = 10_000;

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
}

export interface Head {
  readonly status: number;
  readonly contentType: string;
  readonly fields?: Readonly<Record<string, string>>;
  /** Whether the connection ends with this answer. */
  readonly last: boolean;
}

export class Sender {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Sends a whole answer and returns when it is gone, or the connection is. */
  async whole(exchange: Exchange, head: Head, body: Uint8Array): Promise<void> {
    const { request, response } = exchange;
    if (response.destroyed || request.socket.destroyed) return;
    const closed = new Promise<void>((resolve) => onceGone(request, response, resolve));
    const cancel = this.#clock.after(SEND_MS, () => request.socket.destroy());
    response.writeHead(head.status, { ...headerOf(exchange, head), "content-length": body.length });
    response.end(body);
    await closed;
    cancel();
  }

  /**
   * Sends parts as they come and as the other side takes them, and then their outcome. Returns what went wrong in the
   * middle, or undefined.
   */
  async stream(exchange: Exchange, head: Head, body: AsyncIterable<Uint8Array>): Promise<ServiceError | undefined> {
    const { request, response } = exchange;
    if (response.destroyed || request.socket.destroyed) return undefined;
    response.writeHead(head.status, { ...headerOf(exchange, head), trailer: OUTCOME_TRAILER });
    const failure = await this.#parts(exchange, body);
    const closed = new Promise<void>((resolve) => onceGone(request, response, resolve));
    const cancel = this.#clock.after(SEND_MS, () => request.socket.destroy());
    response.addTrailers({ [OUTCOME_TRAILER]: failure?.code ?? "OK" });
    response.end();
    await closed;
    cancel();
    return failure;
  }

  async #parts(exchange: Exchange, body: AsyncIterable<Uint8Array>): Promise<ServiceError | undefined> {
    try {
      for await (const part of body) await this.#part(exchange, part);
      return undefined;
    } catch (error) {
      const isGone = exchange.response.destroyed || exchange.request.socket.destroyed;
      return isGone ? new ServiceError("ERR_TIMEOUT", "the client left before its answer") : toServiceError(error);
    }
  }

  /** Returns when the connection has taken `part`, which is overwritten then. */
  #part({ request, response }: Exchange, part: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(SEND_MS, () => request.socket.destroy());
      response.write(part, (error) => {
        cancel();
        wipe(part);
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

const headerOf = ({ requestId }: Exchange, { contentType, fields = {}, last }: Head) => ({
  ...fields,
  "content-type": contentType,
  "cache-control": "no-store",
  "x-request-id": requestId,
  ...(last ? { connection: "close" } : {}),
});
