/**
 * What the enclave asks of its parent: HTTP at one address, JSON in answers. The parent is not trusted: sizes, times and
 * numbers are bounded here, and what the answers mean is checked by who asks (credentials.ts, kms-gateway.ts).
 */
import type { Agent } from "node:http";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";
import { createAddressAgent, requestOver } from "../../vsock/http.js";
import { Gate } from "../gate.js";

export interface ServicesRequest {
  readonly method: "GET" | "POST";
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
    const { status, text } = await this.#ask(request);
    if (status === 200) return text;
    throw new ServiceError(request.failureCode, `expected status 200 of the parent's services, got ${status}`);
  }

  /** What the parent may have or not: undefined where it has it not (404). @throws as `request`. */
  async find(request: Pick<ServicesRequest, "path" | "failureCode">): Promise<string | undefined> {
    const { status, text } = await this.#ask({ method: "GET", ...request });
    if (status === 200) return text;
    if (status === 404) return undefined;
    throw new ServiceError(request.failureCode, `expected status 200 or 404 of the parent's services, got ${status}`);
  }

  async #ask({ method, path, body, failureCode, signal }: ServicesRequest): Promise<{ status: number; text: string }> {
    const { status, body: answer } = await this.#gate.run(
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
          idempotent: true, // credentials are read, and KMS Decrypt and GenerateRandom change nothing
        }),
      signal,
    );
    return { status, text: new TextDecoder().decode(answer) };
  }

  /** Closes the kept connections. */
  close(): void {
    this.#agent.destroy();
  }
}
