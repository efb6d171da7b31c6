/** Requests to the routes of an enclave, and the enclave's own audit of them: each must be in its log once, with its decision. */
import type { LogFields, Logger } from "../../enclave/log.js";
import type { Route } from "../../enclave/operations/route.js";
import { JSON_TYPE } from "../../enclave/operations/route.js";
import { utf8 } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";

/** Counts the decisions in an enclave's log, by the number that is the id of their request. */
export class DecisionAudit implements Logger {
  /** How often the log has each request, by its number. */
  readonly #lines: Uint8Array;
  #permitted = 0;

  constructor(requests: number) {
    this.#lines = new Uint8Array(requests);
  }

  info({ requestId, decision }: LogFields, message: string): void {
    if (message !== "decided" || requestId === undefined) return;
    const request = Number(requestId);
    this.#lines[request] = (this.#lines[request] ?? 0) + 1;
    if (decision === "permit") this.#permitted += 1;
  }

  warn(_: LogFields, message: string): void {
    throw new Error(`the enclave warns: ${message}`);
  }

  error(_: LogFields, message: string): void {
    throw new Error(`the enclave fails: ${message}`);
  }

  /** @throws Error unless the log has each of the first `requests` requests once, and has permitted all but `refused` of them. */
  assertWhole(requests: number, refused: number): void {
    const wrong = this.#lines.subarray(0, requests).findIndex((lines) => lines !== 1);
    if (this.#permitted !== requests - refused)
      throw new Error(`the enclave's log permits ${this.#permitted} requests`);
    if (wrong >= 0) throw new Error(`the enclave's log has request ${wrong} ${this.#lines[wrong]} times`);
  }
}

export interface JsonRequest {
  readonly id: number;
  readonly token: string;
  readonly body: object;
}

const NO_QUERY = new URLSearchParams();

/** The JSON of the route's answer. @throws ServiceError what the enclave refuses with. */
export async function request(route: Route, { id, token, body }: JsonRequest): Promise<Record<string, unknown>> {
  const { name } = route;
  const answer = await route.serve({
    ...{ channel: "sealed", requestId: String(id), method: "POST", path: `/v1/${name}`, query: NO_QUERY },
    fields: {
      authorization: `Bearer ${token}`,
      contentType: JSON_TYPE,
      ...{ dpop: undefined, encryptionContext: undefined, messageOptions: undefined },
    },
    body: {
      whole: async () => utf8(JSON.stringify(body)),
      stream: () => {
        throw new ServiceError("ERR_CONTENT_TYPE", "expected a whole body");
      },
    },
    connectionKey: () => undefined,
    signal: new AbortController().signal,
    assertFirst: () => undefined,
  });
  answer.release?.();
  if (!(answer.body instanceof Uint8Array)) throw new TypeError("request: the answer is a stream");
  return JSON.parse(Buffer.from(answer.body.buffer, answer.body.byteOffset, answer.body.byteLength).toString());
}
