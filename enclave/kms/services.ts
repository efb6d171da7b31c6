/**
 * What the enclave asks of its parent: HTTP at one address, JSON in answers. The parent is not trusted: sizes, times and
 * numbers are bounded here, and what the answers mean is checked by who asks (credentials.ts, kms-gateway.ts).
 */
import type { Agent } from "node:http";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import type { AddressResponse } from "../../transport/http.js";
import { createAddressAgent, requestOver } from "../../transport/http.js";
import { Gate } from "../gate.js";

export interface ServicesRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly path: string;
  readonly body?: Uint8Array;
  /** The code for a parent that cannot be reached, or answers with anything but 200. */
  readonly failureCode: ErrorCode;
  readonly signal?: AbortSignal | undefined;
}

const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const LIMITS = { maxConcurrent: 32, maxQueued: 256 };

export class ServicesClient {
  readonly #address: string;
  readonly #agent: Agent;
  readonly #gate = new Gate("requests to the parent's services", LIMITS);

  constructor(address: string) {
    this.#address = address;
    this.#agent = createAddressAgent(address, { maxSockets: LIMITS.maxConcurrent });
  }

  /** The answer's text. @throws ServiceError `failureCode`, ERR_TIMEOUT, ERR_BUSY. */
  async request(request: ServicesRequest): Promise<string> {
    return textOf(await this.#send(request), request.failureCode);
  }

  /** The answer's text, or undefined where the parent has nothing of the kind (status 404). @throws as `request`. */
  async find(request: ServicesRequest): Promise<string | undefined> {
    const answer = await this.#send(request);
    return answer.status === 404 ? undefined : textOf(answer, request.failureCode);
  }

  #send({ method, path, body, failureCode, signal }: ServicesRequest): Promise<AddressResponse> {
    return this.#gate.run(
      () =>
        requestOver(this.#address, {
          method,
          path,
          headers: body ? { "content-type": "application/json" } : {},
          body,
          deadlineMs: DEADLINE_MS,
          maxResponseBytes: MAX_ANSWER_BYTES,
          agent: this.#agent,
          signal,
          failureCode,
          idempotent: true, // credentials are read, KMS Decrypt and GenerateRandom change nothing, and a seed is put once
        }),
      signal,
    );
  }

  /** Closes the kept connections. */
  close(): void {
    this.#agent.destroy();
  }
}

function textOf({ status, body }: AddressResponse, failureCode: ErrorCode): string {
  if (status !== 200)
    throw new ServiceError(failureCode, `expected status 200 of the parent's services, got ${status}`);
  return new TextDecoder().decode(body);
}
